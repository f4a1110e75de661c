"""Which texts belong to which images, and where each stands among the answers to the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.metrics.checks import require_same_length, undefined
from reliability.metrics.features import unit_rows
from reliability.types import F64, I64

# A block of cosines holds 2**21 float64 values, 16 MiB.
_BLOCK_VALUES = 2**21
# A matrix product rounds equal cosines apart by where they stand in it, by some 1e-15.
_SAME = 1e-12


@dataclass(frozen=True)
class Places:
    """Where the right answers to Q queries stand in a gallery ordered by cosine.

    Attributes:
        gallery: How many answers there are.
        ahead: [Q] wrong answers closer than the closest right one.
        right: [Q] right answers as close as that.
        wrong: [Q] wrong answers as close as that.
    """

    gallery: int
    ahead: I64
    right: I64
    wrong: I64

    def hits(self, k: int) -> F64:
        """[Q] chance that a right answer is among the first k when ties are put in random order."""
        missed = np.ones(len(self.ahead))
        for drawn in range(k):
            left = np.maximum(self.wrong - drawn, 0) / np.maximum(self.right + self.wrong - drawn, 1)
            missed *= np.where(drawn < k - self.ahead, left, 1.0)
        return 1.0 - missed


@dataclass(frozen=True)
class Matches:
    """Images and texts in one space.

    Attributes:
        image: [N, D] unit features.
        text: [T, D] unit features.
        owner: [T] row of each text's image.
    """

    image: F64
    text: F64
    owner: I64

    @cached_property
    def of_images(self) -> Places:
        """Each image as a query among all texts."""
        return _places(self.image, self.text, np.arange(len(self.image)), self.owner)

    @cached_property
    def of_texts(self) -> Places:
        """Each text as a query among all images."""
        return _places(self.text, self.image, self.owner, np.arange(len(self.image)))


def _places(queries: F64, gallery: F64, wanted: I64, names: I64) -> Places:
    """Answers ``names[j]`` are right for the queries that want them; memory is a few blocks."""
    found = np.empty((3, len(queries)), dtype=np.int64)
    step = max(1, _BLOCK_VALUES // len(gallery))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        cosines = queries[rows] @ gallery.T
        right = wanted[rows, None] == names
        above = cosines - np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
        level = np.abs(above) <= _SAME
        found[:, rows] = [np.count_nonzero(m, axis=1) for m in (above > _SAME, level & right, level & ~right)]
    return Places(len(gallery), *found)


def match(metric: str, image: F64, image_ids: ArrayLike, text: F64, image_of_text: ArrayLike) -> Matches:
    """Unit features, and the row of each text's image by its id.

    Raises:
        UndefinedMetricError: Mismatched rows or dimensions, a feature that is all zero, ids that
            are neither whole numbers nor names, an id that occurs twice, or a text of an unknown image.
    """
    ids, wanted = _read_ids(metric, "image_ids", image_ids), _read_ids(metric, "image_of_text", image_of_text)
    require_same_length(metric, image_features=image, image_ids=ids)
    require_same_length(metric, text_features=text, image_of_text=wanted)
    if image.shape[1] != text.shape[1]:
        raise undefined(
            metric, "text_features", "images and texts must share one space",
            f"{image.shape[1]} and {text.shape[1]} dimensions", "pass the projected features of both towers",
        )  # fmt: skip
    owner = _rows(metric, ids, wanted)
    return Matches(unit_rows(metric, "image_features", image), unit_rows(metric, "text_features", text), owner)


def _read_ids(metric: str, argument: str, values: ArrayLike) -> NDArray[Any]:
    ids = np.asarray(values)
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise undefined(
            metric, argument, "ids must be a list of whole numbers or names", f"dtype {ids.dtype}, shape {ids.shape}",
            "pass one id per row",
        )  # fmt: skip
    return ids


def _rows(metric: str, ids: NDArray[Any], wanted: NDArray[Any]) -> I64:
    row_of: dict[Any, int] = {}
    for row, name in enumerate(ids.tolist()):
        if row_of.setdefault(name, row) != row:
            raise undefined(
                metric, f"image_ids[{row}]", f"an image must occur once, and row {row_of[name]} has this id too", name,
                "pass each image once and its texts beside one another",
            )  # fmt: skip
    for row, name in enumerate(wanted.tolist()):
        if name not in row_of:
            raise undefined(
                metric, f"image_of_text[{row}]", "every text must belong to one of the images", name,
                "leave out texts of images that are not there",
            )  # fmt: skip
    return np.array([row_of[name] for name in wanted.tolist()], dtype=np.int64)
