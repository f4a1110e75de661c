"""Corruption sets as released in NumPy files, such as CIFAR-10-C.

Pictures that are damaged anew differ from the released ones in every draw and in
how they were stored, and error rates on the two are known to differ by a third
and more. Published figures can only be compared on the released ones.
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
from reliability.data.collection import Index, LabelledSource
from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS, find_corruption
from reliability.data.fingerprint import file_sha256
from reliability.errors import DataError
from reliability.types import I64, U8

LABELS = "labels.npy"


@dataclass(frozen=True)
class ReleasedArrays:
    """One corruption at one severity of a folder of NumPy files.

    The layout is that of CIFAR-10-C: a file per corruption, uint8 [5 * N, H, W, 3],
    whose blocks of N pictures are severities 1 to 5 of the same N, and
    ``labels.npy`` with all 5 * N labels.

    Attributes:
        folder: Where the files are.
        corruption: Name of the file without ``.npy``.
        severity: 1..5.
        classes: Number of classes; labels must be below it.

    Raises:
        UsageError: No such corruption or severity.
    """

    folder: Path
    corruption: str
    severity: int
    classes: int | None = None

    def __post_init__(self) -> None:
        find_corruption(self.corruption, self.severity)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.corruption}.npy"

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """Content of both files, and the block that is shown."""
        return {
            "kind": "released-corruption",
            "images": file_sha256(_there(self._file)),
            "labels": file_sha256(_there(self.folder / LABELS)),
            "severity": self.severity,
        }

    @cached_property
    def index(self) -> Index:
        """Labels, and positions within the block as names, so that severities pair up.

        Raises:
            DataError: A file is missing or not of the layout, or a label is outside the classes.
        """
        labels = mapped(_there(self.folder / LABELS))
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(self._images):
            raise _not_the_layout(self.folder / LABELS, labels, f"integers [{len(self._images)}], one for each picture")
        own = np.array(labels[self._block], dtype=np.int64)
        if own.min() < 0 or (self.classes is not None and own.max() >= self.classes):
            raise DataError(
                where=str(self.folder / LABELS),
                what="label outside the classes",
                got=f"{own.min()} to {own.max()}",
                next=f"labels are whole numbers from 0{'' if self.classes is None else f' and below {self.classes}'}",
            )
        return Index(np.array([f"{row:05d}" for row in range(len(own))]), own)

    @cached_property
    def _images(self) -> NDArray[Any]:
        images = mapped(_there(self._file))
        pictures = images.ndim == 4 and images.shape[3] == 3 and images.dtype == np.uint8
        if not pictures or len(images) == 0 or len(images) % len(SEVERITIES):
            raise _not_the_layout(self._file, images, "uint8 [5 * N, H, W, 3]")
        return images

    @property
    def _block(self) -> slice:
        count = len(self._images) // len(SEVERITIES)
        return slice((self.severity - 1) * count, self.severity * count)

    def read(self, rows: I64) -> Iterator[U8]:
        """The pictures at those rows of the block; only they are read from the file."""
        block = self._images[self._block]
        for row in rows:
            yield np.array(block[row])


def released_sources(folder: Path, classes: int | None = None) -> dict[str, LabelledSource]:
    """Every corruption and severity that a folder of NumPy files holds, as sources by name.

    Args:
        folder: In the layout of CIFAR-10-C; see :class:`ReleasedArrays`.
        classes: Number of classes, where labels are to be checked against it.

    Returns:
        Such as ``"released/fog/3"``, in the benchmark's order; nothing is decoded.

    Raises:
        DataError: The folder holds no file of any corruption.
    """
    found = [name for name in CORRUPTIONS if (folder / f"{name}.npy").is_file()]
    if not found:
        raise DataError(
            where=str(folder),
            what="no released corruption here",
            got=", ".join(sorted(path.name for path in folder.glob("*.npy"))) or "no .npy file",
            next=f"put files such as fog.npy and {LABELS} there",
        )
    sources = (
        LabelledSource(f"released/{name}/{severity}", ReleasedArrays(folder, name, severity, classes))
        for name in found
        for severity in SEVERITIES
    )
    return {source.name: source for source in sources}


def _there(file: Path) -> Path:
    if not file.is_file():
        raise DataError(
            where=str(file),
            what="no such file",
            got=", ".join(sorted(path.name for path in file.parent.glob("*.npy"))) or "no .npy file in its folder",
            next="fetch the released set again, or name a corruption that is there",
        )
    return file


def _not_the_layout(file: Path, array: NDArray[Any], layout: str) -> DataError:
    return DataError(
        where=str(file),
        what=f"expected {layout}",
        got=f"{array.dtype} {list(array.shape)}",
        next="fetch the file again",
    )
