"""Pictures in NumPy files: an array of all of them, and one of their labels.

::

    ROOT/cifar10.1_v6_data.npy      uint8 [N, H, W, 3]
    ROOT/cifar10.1_v6_labels.npy    [N]
    ROOT/classnames.txt             unless the names are given otherwise

or, as in CIFAR-10-C, one file per corruption and ``labels.npy`` for all of them:
see :mod:`reliability.data.corruptions.released`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.arrays import mapped
from reliability.data.assemble import Evaluated, assemble
from reliability.data.collection import Index
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.corruptions.released import LABELS, released_sources
from reliability.data.dataset import DataSet, Request
from reliability.data.fingerprint import file_sha256
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.prompts import find_prompts
from reliability.errors import DataError
from reliability.types import I64, U8, Part, PromptSet, Task

_PAIRS = (("_data.npy", "_labels.npy"), ("_images.npy", "_labels.npy"))


@dataclass(frozen=True)
class ArrayImages:
    """Pictures of one array, left on disk until they are read.

    Attributes:
        images: File of uint8 [N, H, W, 3].
        labels: File of whole numbers [N].
        classes: Number of classes; labels lie below it.
    """

    images: Path
    labels: Path
    classes: int

    @property
    def identity(self) -> Mapping[str, Any]:
        """Content of both files."""
        return {"kind": "arrays", "images": file_sha256(self.images), "labels": file_sha256(self.labels)}

    @cached_property
    def _pixels(self) -> NDArray[Any]:
        pixels = mapped(self.images)
        if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8 or not len(pixels):
            raise _not_the_layout(self.images, pixels, "uint8 [N, H, W, 3]")
        return pixels

    @cached_property
    def index(self) -> Index:
        """Labels, and names such as ``00017``.

        Raises:
            DataError: A file is not of the layout, or a label is outside the classes.
        """
        labels, count = mapped(self.labels), len(self._pixels)
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise _not_the_layout(self.labels, labels, f"whole numbers [{count}], one for each picture")
        outside = np.flatnonzero((labels < 0) | (labels >= self.classes))
        if len(outside):
            raise DataError(
                where=f"{self.labels}[{outside[0]}]", what="label outside the classes", got=int(labels[outside[0]]),
                next=f"a label is 0..{self.classes - 1}, as there are {self.classes} class names",
            )  # fmt: skip
        return Index(np.array([f"{row:05d}" for row in range(count)]), np.array(labels, dtype=np.int64))

    def read(self, rows: I64) -> Iterator[U8]:
        """The pictures at those rows; only they are read from the file."""
        return (np.array(self._pixels[row]) for row in rows)


def _not_the_layout(file: Path, array: NDArray[Any], layout: str) -> DataError:
    return DataError(
        where=str(file), what=f"expected {layout}", got=f"{array.dtype} {list(array.shape)}",
        next="fetch the file again",
    )  # fmt: skip


def array_pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Files of pictures and labels that belong together, by what their names share."""
    found = {}
    for images, labels in _PAIRS:
        for file in sorted(folder.glob(f"*{images}")):
            name = file.name.removesuffix(images)
            if (folder / f"{name}{labels}").is_file():
                found[name] = (file, folder / f"{name}{labels}")
    for plain in ("images.npy", "data.npy"):
        if (folder / plain).is_file() and (folder / LABELS).is_file():
            found[plain.removesuffix(".npy")] = (folder / plain, folder / LABELS)
    return found


def released_noise(folder: Path, prompts: PromptSet) -> list[Evaluated]:
    """One evaluated source for each corruption and severity of a released folder."""
    sources = released_sources(folder, len(prompts.class_names))
    first = next(iter(sources))
    return [
        Evaluated(
            name, source.collection, prompts, (_released_task(name, prompts),), twin_of="" if name == first else first
        )
        for name, source in sources.items()
    ]


def _released_task(source: str, prompts: PromptSet) -> Task:
    _, corruption, severity = source.split("/")
    return Task(
        f"noise/{corruption}/{severity}",
        Part(source),
        prompts,
        card=f"Pictures as released under {corruption.replace('_', ' ')} of severity {severity}.",
    )


def _find(path: Path) -> tuple[Path, str]:
    """Folder, and the name of one pair in it where the location ends in one."""
    if path.is_dir():
        return path, ""
    if path.parent.is_dir() and path.name in array_pairs(path.parent):
        return path.parent, path.name
    raise DataError(
        where=str(path), what="no such folder, or no such pair of .npy files in its folder",
        next="name a folder that holds NAME_data.npy and NAME_labels.npy, or files as of CIFAR-10-C",
    )  # fmt: skip


def open_npy(request: Request) -> DataSet:
    """A folder of NumPy files, or one pair of it as FOLDER/NAME; nothing is read yet.

    Raises:
        UsageError: No location.
        DataError: No files of a known layout, several pairs, or no class names.
    """
    folder, name = _find(request.path("FOLDER"))
    prompts = find_prompts([folder, folder.parent], request.prompts)
    pairs = array_pairs(folder)
    if not pairs and any((folder / f"{corruption}.npy").is_file() for corruption in CORRUPTIONS):
        return assemble(request, released_noise(folder, prompts), None)
    if len(pairs) != 1 and not name:
        raise DataError(
            where=str(folder), what="exactly one pair of pictures and labels is opened",
            got=", ".join(pairs) or "no pair", next="name it: npy:FOLDER/NAME for NAME_data.npy and NAME_labels.npy",
        )  # fmt: skip
    images, labels = pairs[name] if name else next(iter(pairs.values()))
    return labelled_data_set(request, Labelled(ArrayImages(images, labels, len(prompts.class_names)), prompts))
