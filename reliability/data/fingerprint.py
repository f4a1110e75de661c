"""Content hashes of data files, computed once, and remembered between runs where that takes long."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from reliability.errors import DataError

Known = dict[str, tuple[int, int, str]]
"""Name of a file to its size, modification time in nanoseconds, and SHA-256."""

REMEMBERED_BYTES = 64 * 1024 * 1024
"""Hashing fewer new bytes than this takes less time than is worth a file."""


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content.

    Conventions:
        A file whose size and modification time have not changed is not read again.
    """
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def memory_folder() -> Path:
    """Where facts about data files are remembered between runs; it may be deleted at any time."""
    from platformdirs import user_cache_path

    return user_cache_path("quant-reliability") / "files"


def content_digests(folder: Path, names: Sequence[str]) -> list[str]:
    """SHA-256 of many files of one folder.

    Args:
        folder: What the names are relative to.
        names: Paths below it.

    Raises:
        DataError: A file is missing or cannot be read.

    Conventions:
        As for :func:`file_sha256`, a file whose size and modification time have not
        changed is not read again, here not even by a later run.
    """
    known = _known(folder)
    found = [(name, _stat(folder / name)) for name in names]
    new = [(name, at) for name, at in found if known.get(name, (0, 0, ""))[:2] != (at.st_size, at.st_mtime_ns)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(partial(_digest, folder), (name for name, _ in new)))
    for (name, at), digest in zip(new, digests, strict=True):
        known[name] = (at.st_size, at.st_mtime_ns, digest)
    if sum(at.st_size for _, at in new) >= REMEMBERED_BYTES:
        remember(_memory(folder), known)
    return [known[name][2] for name in names]


def _stat(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(path, "not a plain file")
    return status


def _digest(folder: Path, name: str) -> str:
    try:
        return _sha256.__wrapped__(folder / name, 0, 0)
    except OSError as error:
        raise _unreadable(folder / name, error.strerror) from error


def _unreadable(path: Path, got: str | None) -> DataError:
    return DataError(
        where=str(path), what="the file cannot be read", got=got, next="restore it or mend its permissions"
    )


def _memory(folder: Path) -> Path:
    return memory_folder() / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"


@lru_cache(maxsize=256)
def _known(folder: Path) -> Known:
    found = recall(_memory(folder))
    try:
        return {str(name): (int(size), int(mtime), str(sha)) for name, (size, mtime, sha) in dict(found).items()}  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return {}


def recall(file: Path) -> object:
    """What :func:`remember` wrote; None where there is nothing, or nothing legible."""
    try:
        found: object = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def remember(file: Path, content: object) -> None:
    """Write a fact for later runs, whole or not at all; a folder that cannot be written only costs time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial_name = tempfile.mkstemp(dir=file.parent, prefix=".partial-")
        with os.fdopen(handle, "w") as opened:
            json.dump(content, opened)
        os.replace(partial_name, file)
    except OSError:
        return
