"""Data sets that torchvision knows how to fetch and read.

Opening one needs no torchvision, since names and places of the files are known
here; torchvision's own class lists the pictures and labels once they are read.
CIFAR-10 and CIFAR-100 are fetched on first use, the larger sets only when asked:
``reliability fetch torchvision:DTD --data-root DIR``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reliability.data.collection import Collection, Index, Pending
from reliability.data.dataset import DataSet, Request
from reliability.data.files import PictureFiles
from reliability.data.fingerprint import content_digests
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.torchvision_loading import default_root, fetch, find_published, load, missing
from reliability.data.torchvision_sets import Published
from reliability.errors import DataError, MissingExtraError
from reliability.types import I64, U8


@dataclass(frozen=True)
class TorchvisionImages:
    """One split of a published set whose pictures come out of an array.

    Attributes:
        published: Which set.
        root: Folder that holds, or will hold, its files.
        train: The train split instead of the test split.
    """

    published: Published
    root: Path
    train: bool

    @property
    def _split(self) -> str:
        return "train" if self.train else "test"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, checksum and split: they fix the content without reading it."""
        return {
            "kind": "torchvision", "set": self.published.name, "md5": self.published.md5, "split": self._split,
        }  # fmt: skip

    @cached_property
    def _data(self) -> Any:
        return _checked(load(self.published, self.root, self.train), self.published, self.root)

    @cached_property
    def index(self) -> Index:
        """Names such as ``CIFAR10/test/17``, and labels."""
        labels = np.array(_attribute(self._data, self.published.labels, self.published), dtype=np.int64)
        return Index(np.array([f"{self.published.name}/{self._split}/{i}" for i in range(len(labels))]), labels)

    def read(self, rows: I64) -> Iterator[U8]:
        """Pictures at the given rows, uint8 RGB [H, W, 3]."""
        for row in rows:
            image, _ = self._data[int(row)]
            yield np.asarray(image.convert("RGB"))


@dataclass(frozen=True)
class TorchvisionFiles:
    """One split of a published set whose pictures are files.

    torchvision lists them; they are decoded here, to the same pixels. Attributes as
    for :class:`TorchvisionImages`.
    """

    published: Published
    root: Path
    train: bool

    @cached_property
    def _files(self) -> PictureFiles:
        return PictureFiles(self.root, self._find)

    def _find(self) -> Index:
        data = _checked(load(self.published, self.root, self.train), self.published, self.root)
        files = _attribute(data, self.published.files, self.published)
        # Of a pair it is the path that comes first.
        paths = [os.fspath(file[0] if isinstance(file, tuple) else file) for file in files]
        labels = np.array(_attribute(data, self.published.labels, self.published), dtype=np.int64)
        return Index(np.array([Path(os.path.relpath(path, self.root)).as_posix() for path in paths]), labels)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Content of all files of the set, found without torchvision."""
        names = sorted(name for part in self.published.content for name in _all_files(self.root, part))
        digest = hashlib.sha256()
        for name, content in zip(names, content_digests(self.root, names), strict=True):
            digest.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
        return {
            "kind": "torchvision-files", "set": self.published.name, "sha256": digest.hexdigest(), "train": self.train,
        }  # fmt: skip

    @property
    def index(self) -> Index:
        """Paths below the root, and labels."""
        return self._files.index

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, yet to be read."""
        return self._files.pending(rows)

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return self._files.read(rows)


def _all_files(root: Path, part: str) -> Iterator[str]:
    if (root / part).is_file():
        yield part
    for place, _, names in os.walk(root / part):
        for name in names:
            yield (Path(place).relative_to(root) / name).as_posix()


def _attribute(data: Any, name: str, published: Published) -> Any:
    try:
        return getattr(data, name)
    except AttributeError as error:
        raise MissingExtraError(
            where=f"torchvision:{published.name}", what=f"this torchvision keeps the set's {name} elsewhere",
            next="install torchvision 0.25 to 0.28, or open the files with folder:, csv: or npy:",
        ) from error  # fmt: skip


def _checked(data: Any, published: Published, root: Path) -> Any:
    """torchvision's object, once its classes are those that the prompts name."""
    expected = published.classes(root)
    found = getattr(data, "classes", None)
    if found is None or published.files:
        # Names of sets in files are themselves read from the files.
        return data
    if tuple(name.replace("_", " ") for name in found) != expected:
        raise DataError(
            where=str(root), what="the classes are not those expected", got=", ".join(found[:5]) + ", ...",
            next=f"fetch {published.url} again",
        )  # fmt: skip
    return data


def fetch_torchvision(location: str, root: Path | None) -> Path:
    """Have torchvision fetch all splits of a set that are used; returns the folder.

    Raises:
        UsageError: No such set.
        DataError: It cannot be fetched.
    """
    published, folder = find_published(location), root or default_root()
    for train in (False, True) if published.train is not None else (False,):
        fetch(published, folder, train)
    return folder


def open_torchvision(request: Request) -> DataSet:
    """A published set, such as torchvision:CIFAR10; nothing is fetched or read yet.

    The root is the folder that torchvision calls ``root``; by default :func:`default_root`.

    Raises:
        UsageError: No such set.
        DataError: The set's files are not there, and it is none that is fetched on first use.
    """
    published = find_published(request.location)
    folder = Path(os.path.abspath(request.root or default_root()))
    if not published.fetched and not all((folder / part).exists() for part in published.content):
        raise missing(published, folder)
    kind: Callable[[Published, Path, bool], Collection] = TorchvisionFiles if published.files else TorchvisionImages
    train = kind(published, folder, True) if published.train is not None else None
    found = Labelled(kind(published, folder, False), published.prompts(folder), train)
    return labelled_data_set(request, found)
