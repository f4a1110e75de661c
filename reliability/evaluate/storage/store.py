"""Where results lie: a folder, or a place that fsspec reaches, such as ``s3://bucket/cache``.

A file appears whole or not at all, on either. Only folders have locks; elsewhere
two workers may make the same file at once, which costs time and nothing else,
since a file's name says everything that its content depends on.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reliability.errors import CacheError

LOCK_TIMEOUT_S = 1800.0
_PARTIAL = ".partial-"
_LOCK = ".lock"

Location = str | Path
"""A folder, or a URL."""


class Store(Protocol):
    """Files by name, with ``/`` between the parts of one."""

    def read(self, name: str) -> bytes | None:
        """A file's content, None where there is none."""
        ...

    def publish(self, name: str, content: bytes) -> None:
        """Make a file, which appears whole or not at all; one that is there is replaced."""
        ...

    def names(self, below: str = "") -> set[str]:
        """Names of all finished files, or of those below a folder; without that folder."""
        ...

    def claim(self, name: str, *, blocking: bool) -> AbstractContextManager[bool]:
        """Hold the lock of a file that is to be made; False where another holds it and waiting is not asked for."""
        ...


def location(text: str) -> Location:
    """What the user wrote, as a URL where it is one."""
    return text if is_url(text) else Path(text)


def is_url(where: Location) -> bool:
    """Whether it is reached through fsspec."""
    return isinstance(where, str) and "://" in where


def resolved(where: Location) -> Location:
    """The same place, whatever folder a process works in."""
    return where if is_url(where) else Path(where).resolve()


def below(where: Location, *parts: str) -> Location:
    """A place in a place."""
    return "/".join((str(where).rstrip("/"), *parts)) if is_url(where) else Path(where).joinpath(*parts)


def open_store(where: Location, option: str) -> Store:
    """The store at a place.

    Args:
        where: A folder, which is created when missing, or a URL.
        option: What the user named it with, for messages.

    Raises:
        CacheError: It cannot be reached.
        MissingExtraError: What reads such URLs is not installed.
    """
    if is_url(where):
        from reliability.evaluate.storage.remote import RemoteStore

        return RemoteStore.at(str(where), option)
    return FolderStore.at(Path(where), option)


@dataclass(frozen=True)
class FolderStore:
    """Files below a folder, with locks between processes.

    Attributes:
        root: The folder.
        option: What the user named it with, for messages.
    """

    root: Path
    option: str

    @classmethod
    def at(cls, root: Path, option: str) -> FolderStore:
        """Create the folder when missing.

        Raises:
            CacheError: That is not possible.
        """
        store = cls(root, option)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise store._unusable(root, "the folder cannot be created", error) from error
        return store

    def read(self, name: str) -> bytes | None:
        """A file's content, None where there is none.

        Raises:
            CacheError: It cannot be read.
        """
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(self.root / name, "the file cannot be read", error) from error

    def publish(self, name: str, content: bytes) -> None:
        """Write to a temporary file and rename it.

        Raises:
            CacheError: It cannot be written.
        """
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path.parent)
            handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{_own_partial()}{os.getpid()}-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(partial, path)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unusable(path, "the file cannot be written", error) from error

    def names(self, below: str = "") -> set[str]:
        """Names of all finished files, without locks and what a killed process left half-written."""
        start = self.root / below
        return {
            Path(folder, file).relative_to(start).as_posix()
            for folder, _, files in os.walk(start)
            for file in files
            if not file.startswith(_PARTIAL) and not file.endswith(_LOCK)
        }

    @contextmanager
    def claim(self, name: str, *, blocking: bool) -> Iterator[bool]:
        """Hold a file's lock, which is free again when the process that holds it ends, however it ends.

        Raises:
            CacheError: The lock cannot be had, or another process holds it for too long.
        """
        from filelock import FileLock, Timeout

        path = (self.root / name).with_suffix(_LOCK)
        lock = FileLock(path, timeout=LOCK_TIMEOUT_S if blocking else 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as timeout:
            if not blocking:
                yield False
                return
            raise CacheError(
                where=str(self.root / name),
                what=f"waited {LOCK_TIMEOUT_S:.0f} s for another process to compute this entry",
                got=f"lock {path.name} is still held by {_holder(path)}",
                next="see whether that process hangs; end it and run again",
            ) from timeout
        except OSError as error:
            raise self._unusable(path, "the file cannot be locked", error) from error
        try:
            with suppress(OSError):  # a full disk is told of where the file itself is written
                path.write_text(f"process {os.getpid()} on {platform.node()}")
            yield True
        finally:
            lock.release()

    def _unusable(self, path: Path, what: str, error: OSError) -> CacheError:
        return CacheError(
            where=str(path), what=what, got=error.strerror,
            next=f"free space or mend its permissions, or name another folder with {self.option}",
        )  # fmt: skip


def _own_partial() -> str:
    """How the half-written files of this machine begin."""
    return f"{_PARTIAL}{platform.node()}-"


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes of this machine left half-written."""
    for path in folder.glob(f"{_own_partial()}*"):
        process = path.name.removeprefix(_own_partial()).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # there is no signal elsewhere that only asks
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with suppress(OSError, IndexError):
        # Dead, but nobody took note: containers often have no init that does.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _holder(lock: Path) -> str:
    """Who holds a lock, as it wrote there."""
    with suppress(OSError, ValueError):
        return lock.read_text() or "a process that did not say its name"
    return "a process whose name cannot be read"
