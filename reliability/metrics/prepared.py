"""The two mechanisms behind every metric: means over images, and counts by rank.

A metric reads its data once and becomes a :class:`Prepared`, which turns image
weights into values. Weights are counts: how often each image occurs in a
resample. The metric on the images as they are is the case of weight one, so
the plain value and its resamples come from the same code.

    values = prepared(W)            # W [B, N] -> [B]
    values = prepared(W_id, W_ood)  # separation metrics
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reliability.errors import UsageError
from reliability.types import F64, I64

I32 = NDArray[np.int32]
Weights = NDArray[Any]


class Prepared(Protocol):
    """A metric with its data read, waiting for image weights.

    Attributes:
        sizes: Number of images behind each weight matrix.
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of images behind each weight matrix."""
        ...

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights, one matrix [B, N] for each size."""
        ...


@dataclass(frozen=True)
class PerImage:
    """A metric that is a function of weighted means over images.

    Attributes:
        statistics: [N, K] float64 sufficient statistics of each image.
        finish: Weighted means [B, K] to values [B].

    Conventions:
        Sums run in float64. A finish may return NaN for a resample on which the
        metric has no value; the interval then refuses it.
    """

    statistics: F64
    finish: Callable[[F64], F64]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.statistics),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]."""
        _require_shapes(weights, self.sizes)
        counts = np.asarray(weights[0], dtype=np.float64)
        # A column of ones totals the weights in the same pass over them.
        sums = counts @ self._with_ones
        return self.finish(sums[:, :-1] / sums[:, -1:])

    @cached_property
    def _with_ones(self) -> F64:
        return np.column_stack([self.statistics, np.ones(len(self.statistics))])


def mean_of(values: F64) -> PerImage:
    """The metric that is the plain mean of [N] per-image values."""
    return PerImage(values[:, None], lambda means: means[:, 0])


@dataclass(frozen=True)
class Side:
    """The images that count as positive, or as negative, in order of score.

    Attributes:
        source: Which weight matrix holds these images.
        rows: Their columns in it, best score first.
        reached: [L + 1] how many of them score at or above each of the L levels,
            best level first, after a leading 0 for "above all".
    """

    source: int
    rows: I64
    reached: I64

    def counts(self, weights: tuple[Weights, ...]) -> I32:
        """Drawn images at or above each level, [L + 1, B]."""
        # Image-major order makes both gathers copies of whole rows. int32 keeps counts exact.
        drawn = np.take(np.asarray(weights[self.source]).T, self.rows, axis=0)
        running = np.zeros((len(drawn) + 1, drawn.shape[1]), dtype=np.int32)
        np.cumsum(drawn, axis=0, dtype=np.int32, out=running[1:])
        return np.take(running, self.reached, axis=0)


@dataclass(frozen=True)
class Ranked:
    """A metric of the counts of positives and negatives above every score level.

    Attributes:
        sizes: Number of images behind each weight matrix.
        positive, negative: The two sides, on common levels.
        finish: Counts [L + 1, B] of each side, first row 0 and last row the totals,
            to values [B].

    Conventions:
        Equal scores form one level, so ties are never broken by order.
    """

    sizes: tuple[int, ...]
    positive: Side
    negative: Side
    finish: Callable[[I32, I32], F64]

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights, one matrix [B, N] for each size."""
        _require_shapes(weights, self.sizes)
        return self.finish(self.positive.counts(weights), self.negative.counts(weights))


def rank_separation(
    positive: F64, negative: F64, finish: Callable[[I32, I32], F64], *, swapped: bool = False, corners: bool = False
) -> Ranked:
    """Rank positives [N] against negatives [M], each with its own weight matrix.

    Args:
        positive, negative: Scores, higher = more positive.
        finish: See :class:`Ranked`.
        swapped: Whether the weights come as (negative, positive).
        corners: Whether ``finish`` needs only the corners of the ROC curve.
    """
    sizes = (len(negative), len(positive)) if swapped else (len(positive), len(negative))
    levels = np.unique(np.concatenate([positive, negative]))[::-1]
    if corners:
        levels = _corners(levels, np.isin(levels, positive), np.isin(levels, negative))
    first = _side(int(swapped), np.arange(len(positive)), positive, levels)
    second = _side(int(not swapped), np.arange(len(negative)), negative, levels)
    return Ranked(sizes, first, second, finish)


def _corners(levels: F64, has_positive: NDArray[np.bool_], has_negative: NDArray[np.bool_]) -> F64:
    """The levels where the ROC curve can turn, whatever the weights.

    Through a run of levels with images of one side only, the curve is straight.
    """
    mixed = has_positive & has_negative
    turns = has_positive[:-1] != has_positive[1:]
    corners: F64 = levels[np.append(mixed[:-1] | mixed[1:] | turns, True)]
    return corners


def rank_split(scores: F64, is_positive: NDArray[np.bool_], finish: Callable[[I32, I32], F64]) -> Ranked:
    """Rank the positives among [N] images against the rest, under one weight matrix."""
    levels = np.unique(scores)[::-1]
    yes, no = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    return Ranked((len(scores),), _side(0, yes, scores[yes], levels), _side(0, no, scores[no], levels), finish)


def _side(source: int, rows: I64, scores: F64, levels: F64) -> Side:
    order = np.argsort(-scores, kind="stable")
    below = np.searchsorted(scores[order][::-1], levels, side="left")
    return Side(source, rows[order], np.concatenate([[0], len(scores) - below]))


def _require_shapes(weights: tuple[Weights, ...], sizes: tuple[int, ...]) -> None:
    got = tuple(np.shape(w) for w in weights)
    if tuple(shape[1:] for shape in got) != tuple((n,) for n in sizes):
        expected = ", ".join(f"[B, {n}]" for n in sizes)
        raise UsageError(
            where="image weights", what=f"weights must be {expected}", got=got, next="pass one count per image"
        )
