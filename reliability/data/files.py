"""Picture files below one folder, as a collection."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from reliability.data.collection import Index, Pending
from reliability.data.decode import decode_rgb
from reliability.data.fingerprint import content_digests
from reliability.errors import DataError
from reliability.types import I64, U8

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp"})
"""What counts as a picture where a folder is searched; in any case of letters."""

MAX_PICTURE_BYTES = 64 * 1024 * 1024
"""A larger file is refused before any of it is read."""


@dataclass(frozen=True)
class PictureFiles:
    """Pictures in files; a picture's id is its path below the folder.

    Attributes:
        folder: What the ids are relative to. Nothing outside it is read, whatever a
            link or a table says.
        find: Gives ids, labels and groups; called once, when they are first needed.
        border: Pixels cut off at each side after decoding.
    """

    folder: Path
    find: Callable[[], Index]
    border: int = 0

    @cached_property
    def index(self) -> Index:
        """Paths, labels and groups.

        Raises:
            DataError: There is no picture, or the name of one is no text.
        """
        found = self.find()
        if not len(found.ids):
            raise DataError(where=str(self.folder), what="no picture here", next="name the folder that holds them")
        for name in found.ids.tolist():
            if any("\ud800" <= letter <= "\udfff" for letter in name if letter > "\ud7ff"):
                raise DataError(
                    where=str(self.folder), what="the name of a file is not UTF-8", got=ascii(name), next="rename it"
                )
        return found

    @property
    def identity(self) -> Mapping[str, Any]:
        """Path, label, group and content of every picture."""
        return self.identity_of(np.arange(len(self.index.ids)))

    def identity_of(self, rows: I64) -> Mapping[str, Any]:
        """Path, label, group and content of some pictures."""
        chosen = self.index.at(rows)
        paths = [str(path) for path in chosen.ids]
        groups = chosen.labels if chosen.groups is None else chosen.groups
        facts = zip(paths, chosen.labels, groups, content_digests(self.folder, paths), strict=True)
        digest = hashlib.sha256()
        for path, label, group, content in facts:
            digest.update(f"{path}\0{label}\0{group}\0{content}\n".encode("utf-8", "surrogateescape"))
        return {"kind": "files", "pictures": len(paths), "sha256": digest.hexdigest(), "border": self.border}

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, yet to be read."""
        for path in self.index.ids[rows]:
            yield partial(self._decode, str(path))

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return (picture() for picture in self.pending(rows))

    def _decode(self, path: str) -> U8:
        image = decode_rgb(plain_file(self.folder, path), where=str(self.folder / path))
        if not self.border:
            return image
        height, width = image.shape[:2]
        if min(height, width) <= 2 * self.border:
            raise DataError(
                where=str(self.folder / path), what=f"too small to lose a border of {self.border} pixels",
                got=f"{width} x {height}", next="fetch the file again",
            )  # fmt: skip
        return image[self.border : -self.border, self.border : -self.border]


def plain_file(folder: Path, path: str) -> Path:
    """A file below a folder that is safe to read.

    Raises:
        DataError: It is missing, lies outside the folder, is no plain file, or is absurdly large.
    """
    file = folder / path
    try:
        inside = file.resolve(strict=True).is_relative_to(folder.resolve())
        status = file.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            where=str(file), what="the file cannot be read", got=f"{type(error).__name__}: {error}",
            next="restore it, or mend the table that names it",
        ) from error  # fmt: skip
    if not inside:
        raise DataError(
            where=str(file), what="a path or link that leads out of the data folder",
            got=str(file.resolve()), next=f"put the file itself below {folder}",
        )  # fmt: skip
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_PICTURE_BYTES:
        raise DataError(
            where=str(file), what=f"a picture is a plain file of at most {MAX_PICTURE_BYTES} bytes",
            got=f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "not a plain file",
            next="store smaller pictures; nothing was read",
        )  # fmt: skip
    return file
