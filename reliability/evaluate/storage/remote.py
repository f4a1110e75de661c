"""Files on an object store, or wherever else fsspec reaches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from reliability.errors import CacheError, MissingExtraError, UsageError
from reliability.models.extras import require

_UNFINISHED = ".partial"


@dataclass(frozen=True)
class RemoteStore:
    """Files below a URL.

    Attributes:
        url: As the user gave it.
        option: What the user named it with, for messages.
        system: fsspec's file system; keys and endpoints are read from its own settings,
            such as ``AWS_PROFILE`` or ``FSSPEC_S3_ENDPOINT_URL``.
        root: The URL's path there.

    Conventions:
        There are no locks: two workers may compute the same file, and the later one
        replaces it by one that says the same.
    """

    url: str
    option: str
    system: Any
    root: str

    @classmethod
    def at(cls, url: str, option: str) -> RemoteStore:
        """Find what reads such URLs.

        Raises:
            MissingExtraError: fsspec, or its package for this protocol, is not installed.
            UsageError: There is no such protocol.
        """
        fsspec = require("fsspec.core", "remote", f"{option} {url}")
        try:
            system, root = fsspec.url_to_fs(url)
        except ImportError as error:
            raise MissingExtraError(
                where=f"{option} {url}", what="fsspec needs another package for this kind of URL", got=str(error),
                next="install it, such as s3fs for s3:// or gcsfs for gs://",
            ) from error  # fmt: skip
        except ValueError as error:
            raise UsageError(
                where=f"{option} {url}", what="no such kind of URL", got=str(error),
                next="name a folder, or a URL such as s3://bucket/folder or gs://bucket/folder",
            ) from error  # fmt: skip
        return cls(url.rstrip("/"), option, system, root.rstrip("/"))

    def read(self, name: str) -> bytes | None:
        """A file's content, None where there is none.

        Raises:
            CacheError: It cannot be read.
        """
        try:
            with self._named(name, "read"):
                content: bytes = self.system.cat_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def publish(self, name: str, content: bytes) -> None:
        """Write under a name that nobody reads, then move it: some of these places show a file while it grows.

        Raises:
            CacheError: It cannot be written.
        """
        path, partial = f"{self.root}/{name}", f"{self.root}/{_UNFINISHED}/{uuid4().hex}"
        with self._named(name, "written"):
            for file in (path, partial):
                self.system.makedirs(file.rpartition("/")[0], exist_ok=True)
            self.system.pipe_file(partial, content)
            self.system.mv(partial, path)

    def names(self, below: str = "") -> set[str]:
        """Names of all finished files, listed afresh.

        Raises:
            CacheError: They cannot be listed.
        """
        start = f"{self.root}/{below}".rstrip("/") + "/"
        with self._named(below, "listed"):
            self.system.invalidate_cache()
            found = {str(path).removeprefix(start) for path in self.system.find(start)}
        return {name for name in found if not name.startswith(f"{_UNFINISHED}/")}

    @contextmanager
    def claim(self, name: str, *, blocking: bool) -> Iterator[bool]:  # noqa: ARG002 - there is nothing to hold
        """Always true."""
        yield True

    @contextmanager
    def _named(self, name: str, done: str) -> Iterator[None]:
        """Every such package raises errors of its own; say which file and what was done with it."""
        try:
            yield
        except FileNotFoundError:
            if done == "read":
                raise
            raise self._unusable(name, done, "no such place") from None
        except Exception as error:
            raise self._unusable(name, done, f"{type(error).__name__}: {error}") from error

    def _unusable(self, name: str, done: str, got: str) -> CacheError:
        return CacheError(
            where=f"{self.url}/{name}", what=f"it cannot be {done}", got=got,
            next=f"check its address and your access to it, or name another place with {self.option}",
        )  # fmt: skip
