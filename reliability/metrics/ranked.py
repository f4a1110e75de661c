"""Counts by rank: the mechanism behind metrics that see of the scores only their order.

Scores are sorted once. A resample changes how many images stand at or above each
level of score, and those counts are running sums of its weights in sorted order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reliability.metrics.prepared import Weights, require_shapes
from reliability.types import F64, I64

I32 = NDArray[np.int32]

# Levels are found among so many scores of each side at a time, which stay in the cache of one core.
_STRETCH = 2**14
# A metric sums over so many levels at a time, which keeps what it makes of them in the cache.
_LEVELS_AT_ONCE = 2**14
# So many counts at a time stay in the cache, and in memory that is used again instead of being
# asked for and returned: 2,000 resamples of 20,000 images take 0.12 s so, 0.22 s in blocks of 100.
_COUNTS_AT_ONCE = 200_000


@dataclass(frozen=True)
class Side:
    """Images in order of score, under a list of levels that other images may share.

    Attributes:
        source: Which weight matrix holds these images.
        all_scores: [N] scores of every image of that matrix, as they came: no copy.
        members: [N] which of them stand on this side; None if all do.
        reached: [L + 1] how many of them score at or above each of the L levels, best level
            first, after a leading 0 for "above all". Counts hold up to 2**31 - 1 images.
    """

    source: int
    all_scores: F64
    members: NDArray[np.bool_] | None
    reached: I32

    @cached_property
    def rows(self) -> I32:
        """[n] columns of the weight matrix, best score first; ties in any order."""
        if self.members is None:
            return np.argsort(self.all_scores)[::-1].astype(np.int32)
        columns = np.flatnonzero(self.members).astype(np.int32)
        return columns[np.argsort(self.all_scores[self.members])[::-1]]

    @cached_property
    def level_of(self) -> I32:
        """[n] the level of each image, counted from 0, where the images are all of their matrix."""
        ranked = np.zeros(len(self.all_scores), dtype=np.int32)
        ranked[self.reached[1:-1]] = 1
        np.cumsum(ranked, out=ranked)
        place = np.empty_like(ranked)
        # Not the rows, which stay once they are asked for, and only resamples need them.
        place[np.argsort(self.all_scores)[::-1]] = ranked
        return place

    def counts(self, weights: tuple[Weights, ...]) -> I32:
        """Drawn images at or above each level, [L + 1, B]."""
        if _draws_all_once(weights[self.source]):
            # The levels count them already; the order of the images is never worked out.
            return self.reached[:, None]
        # Image-major order makes both gathers copies of whole rows.
        drawn = np.take(np.asarray(weights[self.source]).T, self.rows, axis=0)
        return np.take(_running(drawn), self.reached, axis=0)[:, : drawn.shape[1]]


def _running(drawn: Weights) -> I32:
    """Sums [n + 1, B] of the first 0, 1, ... n rows of [n, B]; a column is added if B is odd."""
    n, replicates = drawn.shape
    sums = np.zeros((n + 1, replicates + replicates % 2), dtype=np.int32)
    sums[1:, :replicates] = drawn
    # Two counts are summed as one 64-bit word, which halves the time: no count of images is
    # negative or reaches 2**31, so neither half can carry into the other.
    words = sums.view(np.int64)
    np.cumsum(words, axis=0, out=words)
    return sums


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
        require_shapes(weights, self.sizes)
        return a_few_at_once(lambda *few: self.finish(self.positive.counts(few), self.negative.counts(few)), weights)


def a_few_at_once(values: Callable[..., F64], weights: tuple[Weights, ...]) -> F64:
    """``values(*weights)`` [B], worked out for a few resamples at a time.

    Args:
        values: Weights, one matrix [b, N] for each set of images, to values [b].
        weights: The same, [B, N].
    """
    step = max(2, _COUNTS_AT_ONCE // sum(matrix.shape[1] for matrix in weights))
    parts = [values(*(matrix[low : low + step] for matrix in weights)) for low in range(0, len(weights[0]), step)]
    return np.concatenate(parts)


def few_levels(right: I32, wrong: I32) -> Iterator[tuple[I32, I32]]:
    """Counts [L + 1, B] of both sides in pieces [l + 1, b], each beginning with the last row of the one before."""
    step = max(1, _LEVELS_AT_ONCE // right.shape[1])
    for low in range(0, max(1, len(right) - 1), step):
        yield right[low : low + step + 1], wrong[low : low + step + 1]


def _draws_all_once(matrix: Weights) -> bool:
    return len(matrix) == 1 and bool((np.asarray(matrix) == 1).all())


Keep = Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
"""Which levels a metric needs, [L], of whether each side has images on them, [2, L]; lowest level first."""


def every_level(gains: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All of them."""
    return np.ones(gains.shape[1], dtype=np.bool_)


def corners(gains: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the ROC curve can turn, whatever the weights.

    Through a run of levels with images of one side only, the curve is straight.
    """
    mixed = gains[0] & gains[1]
    turns = gains[0, 1:] != gains[0, :-1]
    return np.append(True, mixed[1:] | mixed[:-1] | turns)


def with_positives(gains: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where positives are gained."""
    return np.append(True, gains[0, 1:])


def above_negatives(gains: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where negatives are gained, for a metric that is read from the other end."""
    return np.append(True, gains[1, :-1])


def rank_separation(
    positive: F64, negative: F64, finish: Callable[[I32, I32], F64], keep: Keep = every_level
) -> Ranked:
    """Rank positives [N] against negatives [M], each with its own weight matrix.

    Args:
        positive, negative: Scores, higher = more positive.
        finish: See :class:`Ranked`.
        keep: Which levels ``finish`` needs.
    """
    first, second = _reached((positive, None), (negative, None), keep)
    sizes = len(positive), len(negative)
    return Ranked(sizes, Side(0, positive, None, first), Side(1, negative, None, second), finish)


def from_the_other_end(finish: Callable[[I32, I32], F64]) -> Callable[[I32, I32], F64]:
    """The same metric with the sides exchanged and the scores negated.

    What scores at or below a level is the rest of what scores above it.
    """
    return lambda positive, negative: finish(negative[-1] - negative[::-1], positive[-1] - positive[::-1])


def rank_split(
    scores: F64, is_positive: NDArray[np.bool_], finish: Callable[[I32, I32], F64], keep: Keep = every_level
) -> Ranked:
    """Rank the positives among [N] images against the rest, under one weight matrix.

    Args:
        scores: [N], higher = earlier.
        is_positive: [N]; either side may be empty.
        finish, keep: As in :func:`rank_separation`.
    """
    rest = ~is_positive
    first, second = _reached((scores, is_positive), (scores, rest), keep)
    return Ranked((len(scores),), Side(0, scores, is_positive, first), Side(0, scores, rest, second), finish)


def rank_alone(scores: F64) -> Side:
    """Images [N] by score on their own levels, under the first weight matrix."""
    return Side(0, scores, None, _reached((scores, None), (scores[:0], None), every_level)[0].copy())


Chosen = tuple[F64, NDArray[np.bool_] | None]
"""Scores [N], and which of them stand on a side; None for all."""


def _reached(first: Chosen, second: Chosen, keep: Keep) -> tuple[I32, I32]:
    """How many of each side score at or above each level, best level first, after a leading 0."""
    # The sorted copies are gone before the parts are joined.
    parts, sizes = _parts_below(_sorted(first), _sorted(second), keep)
    counts = np.concatenate([*parts, sizes], axis=1)
    # In place, and turned round as a view: counts of a million levels are not held twice.
    np.subtract(sizes, counts, out=counts)
    one, other = counts[:, ::-1]
    return one, other


def _sorted(chosen: Chosen) -> F64:
    scores, members = chosen
    picked = scores.copy() if members is None else scores[members]
    picked.sort()
    return picked


def _parts_below(first: F64, second: F64, keep: Keep) -> tuple[list[I32], I32]:
    """[2, l] each: how many of each sorted array score below each level, lowest level first; and [2, 1] their sizes."""
    parts = [
        (_below(first[a:b], second[c:d], keep) + np.array([[a], [c]])).astype(np.int32)
        for a, b, c, d in _stretches(first, second)
    ]
    return parts, np.array([[len(first)], [len(second)]], dtype=np.int32)


def _stretches(first: F64, second: F64) -> Iterator[tuple[int, int, int, int]]:
    """Bounds of slices of two sorted arrays over the same scores; equal scores are never parted."""
    cuts = np.unique(np.concatenate([first[::_STRETCH], second[::_STRETCH]]))[1:]
    bounds = [[0, *np.searchsorted(scores, cuts).tolist(), len(scores)] for scores in (first, second)]
    for k in range(len(cuts) + 1):
        yield bounds[0][k], bounds[0][k + 1], bounds[1][k], bounds[1][k + 1]


def _below(first: F64, second: F64, keep: Keep) -> I64:
    """[2, l] how many of each sorted array score below each level that is kept, lowest level first."""
    levels = np.sort(np.concatenate([first, second]), kind="stable")
    levels = levels[np.append(True, levels[1:] != levels[:-1])]
    below = np.stack([np.searchsorted(first, levels), np.searchsorted(second, levels)])
    gains = np.diff(below, append=[[len(first)], [len(second)]]) > 0
    return below[:, keep(gains)]
