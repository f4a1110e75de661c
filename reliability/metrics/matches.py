"""Which texts belong to which images, and where each stands among the answers to the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UndefinedMetricError
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
        pairs: Rows of images and rows of texts that belong together, [P] each; no pair twice.
    """

    image: F64
    text: F64
    pairs: tuple[I64, I64]

    @cached_property
    def of_images(self) -> Places:
        """Each image as a query among all texts."""
        return _places(self.image, self.text, *self.pairs)

    @cached_property
    def of_texts(self) -> Places:
        """Each text as a query among all images."""
        return _places(self.text, self.image, *self.pairs[::-1])


def _places(queries: F64, gallery: F64, asked: I64, answers: I64) -> Places:
    """Answer ``answers[p]`` is right for query ``asked[p]``; memory is a few blocks."""
    order = np.argsort(asked, kind="stable")
    asked, answers = asked[order], answers[order]
    found = np.empty((3, len(queries)), dtype=np.int64)
    step = max(1, _BLOCK_VALUES // len(gallery))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        cosines = queries[rows] @ gallery.T
        right = np.zeros(cosines.shape, dtype=bool)
        pairs = slice(*np.searchsorted(asked, (start, start + step)))
        right[asked[pairs] - start, answers[pairs]] = True
        above = cosines - np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
        level = np.abs(above) <= _SAME
        found[:, rows] = [np.count_nonzero(m, axis=1) for m in (above > _SAME, level & right, level & ~right)]
    return Places(len(gallery), *found)


def match(metric: str, image: F64, image_ids: ArrayLike, text: F64, image_of_text: ArrayLike) -> Matches:
    """Unit features, and which texts belong to which images.

    Raises:
        UndefinedMetricError: Mismatched rows or dimensions, a feature that is all zero, ids that
            are neither whole numbers nor names, an id that occurs twice, or a text of no known image.
    """
    ids = _read_ids(metric, "image_ids", image_ids)
    require_same_length(metric, image_features=image, image_ids=ids)
    if image.shape[1] != text.shape[1]:
        raise undefined(
            metric, "text_features", "images and texts must share one space",
            f"{image.shape[1]} and {text.shape[1]} dimensions", "pass the projected features of both towers",
        )  # fmt: skip
    row_of = _rows(metric, ids)
    if np.ndim(image_of_text) == 2:
        pairs = _pairs(metric, np.asarray(image_of_text), (len(text), len(image)))
    else:
        wanted = _read_ids(metric, "image_of_text", image_of_text)
        require_same_length(metric, text_features=text, image_of_text=wanted)
        pairs = _owners(metric, row_of, wanted), np.arange(len(text))
    return Matches(unit_rows(metric, "image_features", image), unit_rows(metric, "text_features", text), pairs)


def _pairs(metric: str, matrix: NDArray[Any], shape: tuple[int, int]) -> tuple[I64, I64]:
    """Rows of images and of texts, from a matrix [T, N] of which are true of which."""
    if matrix.dtype != np.bool_ or matrix.shape != shape:
        raise undefined(
            metric, "image_of_text", f"a matrix of matches holds booleans, shape {shape}: texts by images",
            f"dtype {matrix.dtype}, shape {matrix.shape}", "pass one row per text and one column per image",
        )  # fmt: skip
    idle = np.flatnonzero(~matrix.any(axis=1))
    if len(idle):
        raise _ownerless(metric, int(idle[0]), f"{len(idle)} texts that are true of none")
    texts, images = np.nonzero(matrix)
    return images, texts


def _read_ids(metric: str, argument: str, values: ArrayLike) -> NDArray[Any]:
    ids = np.asarray(values)
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise undefined(
            metric, argument, "ids must be a list of whole numbers or names", f"dtype {ids.dtype}, shape {ids.shape}",
            "pass one id per row",
        )  # fmt: skip
    return ids


def _rows(metric: str, ids: NDArray[Any]) -> dict[Any, int]:
    """Row of each image by its id."""
    row_of: dict[Any, int] = {}
    for row, name in enumerate(ids.tolist()):
        if row_of.setdefault(name, row) != row:
            raise undefined(
                metric, f"image_ids[{row}]", f"an image must occur once, and row {row_of[name]} has this id too", name,
                "pass each image once and its texts beside one another",
            )  # fmt: skip
    return row_of


def _owners(metric: str, row_of: dict[Any, int], wanted: NDArray[Any]) -> I64:
    """[T] row of each text's image."""
    for row, name in enumerate(wanted.tolist()):
        if name not in row_of:
            raise _ownerless(metric, row, name)
    return np.array([row_of[name] for name in wanted.tolist()], dtype=np.int64)


def _ownerless(metric: str, row: int, got: object) -> UndefinedMetricError:
    return undefined(
        metric, f"image_of_text[{row}]", "every text must belong to one of the images", got,
        "leave out texts of images that are not there",
    )  # fmt: skip
