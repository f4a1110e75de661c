"""Paired bootstrap by image weights: resample the images, not the metrics' inputs.

A resample is a count per image. Statistics that accept such counts (``W [B, N]``
to ``[B]``) are never recomputed, and giving every model the same counts is all
that pairing takes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reliability.errors import UndefinedMetricError, UsageError
from reliability.types import F64, U8, Interval

Statistic = Callable[..., F64]

# Replicates come in blocks with a random stream each, so that they can be made again
# in any order and memory does not grow with their number.
_BLOCK = 100
# Weights handed to a statistic at once: bounds its temporaries to some 100 MB at any n.
_WEIGHTS_AT_ONCE = 4_000_000
_CACHE_BYTES = 128 * 2**20


class _BlockCache:
    """The most recently used blocks of weights, within a budget of bytes."""

    def __init__(self, budget: int) -> None:
        self._budget, self._held = budget, 0
        self._blocks: OrderedDict[tuple[int, int, int, int], U8] = OrderedDict()

    def get(self, n: int, seed: int, stratum: int, index: int) -> U8:
        key = (n, seed, stratum, index)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        block = self._blocks[key] = _draw(*key)
        self._held += block.nbytes
        while self._held > self._budget and len(self._blocks) > 1:
            self._held -= self._blocks.popitem(last=False)[1].nbytes
        return block


def _draw(n: int, seed: int, stratum: int, index: int) -> U8:
    """One block of counts [n, _BLOCK]: image-major, the order in which statistics read them."""
    stream = np.random.SeedSequence(seed, spawn_key=(stratum, index))
    rng = np.random.Generator(np.random.PCG64(stream))
    counts = np.empty((_BLOCK, n), dtype=np.uint8)
    for row in counts:
        # A count above 255 needs one image drawn 256 times: less likely than 1 in 10**500.
        row[:] = np.bincount(rng.integers(0, n, size=n, dtype=np.int32), minlength=n)
    block = np.ascontiguousarray(counts.T)
    block.flags.writeable = False
    return block


_CACHE = _BlockCache(_CACHE_BYTES)


def resample_weights(n: int, replicates: int, seed: int, stratum: int = 0) -> U8:
    """How often each image occurs in each resample of n images with replacement.

    Args:
        n: Number of images.
        replicates: Number of resamples, B.
        seed: Not negative.
        stratum: Which of several sets sampled side by side; each has a stream of its own.

    Returns:
        [B, n] uint8 multinomial counts; every row sums to n.

    Raises:
        UndefinedMetricError: There are no images.
        UsageError: A negative seed, or no replicates.

    Conventions:
        PCG64, seeded by NumPy's ``SeedSequence(seed, spawn_key=(stratum, block))`` for each
        block of 100 replicates, so the first replicates do not depend on how many follow.
    """
    _require_sizes((n,), replicates, seed)
    blocks = [_CACHE.get(n, seed, stratum, index).T for index in range(-(-replicates // _BLOCK))]
    return np.concatenate(blocks)[:replicates]


def paired_replicates(
    statistics: Sequence[Statistic], sizes: tuple[int, ...], replicates: int = 2000, seed: int = 0
) -> F64:
    """Values of several statistics on the same resamples.

    Args:
        statistics: Each maps weights, one matrix [b, n] for every size, to values [b].
        sizes: Images in each stratum, such as ``(ID, OOD)``; strata are resampled independently.
        replicates: Number of resamples, B.
        seed: Not negative.

    Returns:
        [len(statistics), B] float64.

    Raises:
        UndefinedMetricError: An empty stratum.
        UsageError: A negative seed, no replicates, or a statistic that returns another shape.

    Conventions:
        Equal statistics get equal values, bit for bit, so a model compared with itself
        differs by exactly 0. Non-finite values are passed on; :func:`interval` refuses them.

    Source:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993. Departure: sizes of
        strata are fixed, since the sets are chosen and not sampled together.
    """
    _require_sizes(sizes, replicates, seed)
    values = np.empty((len(statistics), replicates))
    step = max(1, min(_BLOCK, _WEIGHTS_AT_ONCE // sum(sizes)))
    for start in range(0, replicates, _BLOCK):
        blocks = [_CACHE.get(n, seed, stratum, start // _BLOCK) for stratum, n in enumerate(sizes)]
        last = min(_BLOCK, replicates - start)
        for low in range(0, last, step):
            high = min(low + step, last)
            weights = [block[:, low:high].T for block in blocks]
            for row, statistic in enumerate(statistics):
                values[row, start + low : start + high] = _checked(statistic(*weights), high - low)
    return values


def interval(
    estimate: float, replicates: NDArray[Any], level: float, method: Literal["percentile", "basic"] = "percentile"
) -> Interval:
    """One-sided limits of an estimate from its replicates, each at ``level``.

    Args:
        estimate: The value on the images as they are.
        replicates: [B] values on resamples.
        level: Confidence of each limit, in (0.5, 1); both together hold at 2 * level - 1.
        method: ``percentile`` takes quantiles of the replicates. ``basic`` mirrors them at the
            estimate, which removes the bias of the resamples from the limits.

    Raises:
        UndefinedMetricError: A non-finite estimate or replicate (a degenerate resample), or
            fewer than 1 / (1 - level) replicates.
        UsageError: An unknown method or a level outside (0.5, 1).

    Conventions:
        Quantiles interpolate linearly. Replicates that all equal the estimate, as for a model
        compared with itself, give a point. That also happens where too few images differ at
        all, so demand a minimum number of images before trusting a point.
    """
    draws = np.asarray(replicates, dtype=np.float64)
    _require_level(level, method)
    _require_replicates(estimate, draws, level)
    lower, upper = (float(q) for q in np.quantile(draws, [1.0 - level, level]))
    if method == "basic":
        lower, upper = 2.0 * estimate - upper, 2.0 * estimate - lower
    return Interval(float(estimate), lower, upper, level, float(draws.std(ddof=1)))


def _checked(values: F64, count: int) -> F64:
    if np.shape(values) != (count,):
        raise UsageError(
            where="statistic of paired_replicates",
            what="a statistic must return one value per resample",
            got=f"shape {np.shape(values)} for {count} resamples",
            next="pass a function of weights [B, N] that returns [B]",
        )
    return values


def _require_sizes(sizes: tuple[int, ...], replicates: int, seed: int) -> None:
    if not sizes or min(sizes) < 1:
        raise UndefinedMetricError(
            where="bootstrap", what="there are no images to resample", got=f"sizes {sizes}", next="check the selection"
        )
    for name, value, least in (("replicates", replicates, 1), ("seed", seed, 0)):
        if value < least:
            raise UsageError(
                where=f"bootstrap: {name}", what=f"{name} must be at least {least}", got=value, next="pass more"
            )


def _require_level(level: float, method: str) -> None:
    if method not in ("percentile", "basic"):
        raise UsageError(where="interval: method", what="unknown method", got=method, next="percentile or basic")
    if not 0.5 < level < 1.0:
        raise UsageError(
            where="interval: level", what="a level lies between 0.5 and 1", got=level, next="pass 0.95, for instance"
        )


def _require_replicates(estimate: float, draws: F64, level: float) -> None:
    bad = np.flatnonzero(~np.isfinite(draws))
    if not np.isfinite(estimate) or len(bad):
        raise UndefinedMetricError(
            where=f"replicate {bad[0]}" if len(bad) else "estimate",
            what="no interval: the statistic has no value on the images or on a resample of them",
            got=f"{len(bad)} of {len(draws)} replicates non-finite, estimate {estimate}",
            next="use more images, above all in the smallest group: resamples must not lose it",
        )
    if len(draws) * (1.0 - level) < 1.0 - 1e-9:
        raise UndefinedMetricError(
            where="interval",
            what=f"too few replicates for a limit at level {level}",
            got=len(draws),
            next=f"use at least {int(np.ceil(1.0 / (1.0 - level)))}, better 2,000",
        )
