"""A content-addressed store of arrays, shared by processes, safe against crashes.

An entry's address is the digest of everything its content depends on. It is
written to a temporary file and renamed, so a reader sees all of it or nothing;
it carries a checksum, so damage is noticed; and it is computed under a lock, so
several workers compute it once.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

Arrays = dict[str, NDArray[Any]]

_MAGIC = b"QRC1"
_DIGEST_BYTES = 32
_LOCK_TIMEOUT_S = 1800.0


class DamagedEntryWarning(UserWarning):
    """A cache entry failed its checksum and is computed again."""


@dataclass(frozen=True)
class Job:
    """Something to be had from the cache, or computed.

    Attributes:
        payload: Everything the content depends on, JSON-serialisable.
        compute: Makes the arrays when they are not there.
    """

    payload: Mapping[str, Any]
    compute: Callable[[], Arrays]

    @property
    def key(self) -> str:
        """Digest of the payload in canonical JSON, as 64 hexadecimal digits."""
        text = json.dumps(self.payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Arrays by address under one folder.

    Args:
        root: Created when missing.

    Raises:
        CacheError: The folder cannot be created or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(root, "the cache folder cannot be created", error) from error

    def get(self, jobs: Sequence[Job]) -> list[Arrays]:
        """Fetch or compute several entries, returned in the order given.

        Entries that another process is computing are left for last, so that two
        workers in need of the same two entries compute one each.
        """
        found: dict[int, Arrays] = {}
        for blocking in (False, True):
            for index, job in enumerate(jobs):
                if index not in found and (arrays := self._one(job, blocking)) is not None:
                    found[index] = arrays
        return [found[index] for index in range(len(jobs))]

    def _one(self, job: Job, blocking: bool) -> Arrays | None:
        """One entry, or None if it is not there and another process holds its lock."""
        path = self.root / job.key[:2] / f"{job.key}.bin"
        arrays = self._read(path)
        if arrays is not None:
            return arrays
        with self._lock(path, blocking) as held:
            if not held:
                return None
            arrays = self._read(path)
            if arrays is None:
                body = _pack(job.compute(), job.payload)
                self._write(path, body)
                # Handing out what was stored keeps a cold run identical to a warm one.
                arrays = _unpack(body)
            return arrays

    @contextmanager
    def _lock(self, path: Path, blocking: bool) -> Iterator[bool]:
        """Hold an entry's lock; yields False when it is taken and ``blocking`` is not asked for."""
        from filelock import FileLock, Timeout

        lock = FileLock(path.with_suffix(".lock"), timeout=_LOCK_TIMEOUT_S if blocking else 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as timeout:
            if not blocking:
                yield False
                return
            raise CacheError(
                where=str(path),
                what=f"waited {_LOCK_TIMEOUT_S:.0f} s for another process to compute this entry",
                got=f"lock {path.with_suffix('.lock').name} is still held",
                next="see whether that process hangs; end it and run again",
            ) from timeout
        except OSError as error:
            raise _unusable(path, "the cache entry cannot be locked", error) from error
        try:
            yield True
        finally:
            lock.release()

    def _read(self, path: Path) -> Arrays | None:
        """An entry's arrays; None when it is missing, or damaged (with a warning)."""
        try:
            blob = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, "the cache entry cannot be read", error) from error
        start = len(_MAGIC) + _DIGEST_BYTES
        body = blob[start:]
        if blob[: len(_MAGIC)] != _MAGIC or blob[len(_MAGIC) : start] != hashlib.sha256(body).digest():
            warnings.warn(
                f"cache entry {path.name} is damaged and is computed again", DamagedEntryWarning, stacklevel=2
            )
            return None
        return _unpack(body)

    def _write(self, path: Path, body: bytes) -> None:
        """Write an entry so that it appears whole or not at all."""
        try:
            handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(body).digest() + body)
                os.replace(partial, path)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unusable(path, "the cache entry cannot be written", error) from error


def _unusable(path: Path, what: str, error: OSError) -> CacheError:
    return CacheError(
        where=str(path),
        what=what,
        got=error.strerror,
        next="free space or mend its permissions, or name another folder with --cache-dir",
    )


def _pack(arrays: Arrays, payload: Mapping[str, Any]) -> bytes:
    """Serialise arrays; strings are stored as UTF-8 bytes, since safetensors knows numbers only."""
    from safetensors.numpy import save

    plain, strings = {}, []
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            encoded = np.char.encode(array, "utf-8")
            width = max(encoded.dtype.itemsize, 1)
            plain[name] = np.frombuffer(encoded.astype(f"S{width}").tobytes(), np.uint8).reshape(len(array), width)
            strings.append(name)
        else:
            plain[name] = np.require(array, requirements="C")
    metadata = {"strings": json.dumps(strings), "payload": json.dumps(payload, sort_keys=True)}
    return save(plain, metadata)


def _unpack(body: bytes) -> Arrays:
    from safetensors.numpy import load

    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    arrays: Arrays = load(body)
    for name in json.loads(header["__metadata__"]["strings"]):
        raw = arrays[name]
        arrays[name] = np.char.decode(np.frombuffer(raw.tobytes(), f"S{raw.shape[1]}"), "utf-8")
    return arrays
