"""Image weights: how often each image occurs in a resample, or whether it is left out of one.

A resample is a count per image. Statistics that accept such counts (``W [B, N]`` to
``[B]``) are never recomputed, and giving every model the same counts is all that
pairing takes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UndefinedMetricError, UsageError
from reliability.types import I64, U8

# Replicates come in blocks with a random stream each, so that they can be made again
# in any order and memory does not grow with their number.
BLOCK = 100
# Weights handed to a statistic at once: bounds its temporaries to some 100 MB at any n.
WEIGHTS_AT_ONCE = 4_000_000
MIN_CLUSTERS = 50
"""Fewer clusters than this are refused: one-sided 95 % limits cover as little as 85 % with 20 of
them, 89 % with 50, and 93 % and more from 200 on (measured on five versions of each picture)."""

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
    """One block of counts [n, BLOCK]: image-major, the order in which statistics read them."""
    rng = _stream(seed, stratum, index)
    counts = np.empty((BLOCK, n), dtype=np.uint8)
    for row in counts:
        # A count above 255 needs one image drawn 256 times: less likely than 1 in 10**500.
        row[:] = np.bincount(rng.integers(0, n, size=n, dtype=np.int32), minlength=n)
    block = np.ascontiguousarray(counts.T)
    block.flags.writeable = False
    return block


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


_CACHE = _BlockCache(_CACHE_BYTES)


@dataclass(frozen=True)
class Units:
    """What is drawn as a whole: the images of a stratum one by one, or in clusters.

    Attributes:
        count: Number of units.
        members: [N] unit of each image; None where every image is its own.
    """

    count: int
    members: I64 | None = None

    def spread(self, block: U8) -> U8:
        """Counts per unit [count, b] to counts per image [N, b]."""
        return block if self.members is None else block[self.members]


def units_of(n: int, clusters: ArrayLike | None = None) -> Units:
    """The units of n images.

    Args:
        n: Number of images.
        clusters: [n] id of each image's cluster, numbers or strings; None for none.

    Raises:
        UndefinedMetricError: No images, or fewer than ``MIN_CLUSTERS`` clusters.
        UsageError: Ids that are not one per image.
    """
    if n < 1:
        raise UndefinedMetricError(
            where="bootstrap", what="there are no images to resample", got=n, next="check the selection"
        )
    if clusters is None:
        return Units(n)
    ids = np.asarray(clusters)
    if ids.shape != (n,):
        raise UsageError(
            where="bootstrap: clusters",
            what="there must be one cluster id per image",
            got=f"shape {ids.shape} for {n} images",
            next="pass the id of the picture that each image was made of",
        )
    names, members = np.unique(ids, return_inverse=True)
    if len(names) < MIN_CLUSTERS:
        raise UndefinedMetricError(
            where="bootstrap: clusters",
            what=f"limits over clusters need at least {MIN_CLUSTERS} of them",
            got=len(names),
            next="use more pictures, not more versions of the same ones",
        )
    return Units(len(names), members.astype(np.int64))


@dataclass(frozen=True)
class Resampler:
    """Draws with replacement from the units of one stratum."""

    units: Units
    seed: int
    stratum: int

    def rows(self, low: int, high: int) -> U8:
        """Counts of resamples low..high - 1, all of one block: [high - low, N]."""
        block = _CACHE.get(self.units.count, self.seed, self.stratum, low // BLOCK)
        first = low - low % BLOCK
        return self.units.spread(block[:, low - first : high - first]).T


@dataclass(frozen=True)
class LeaveOut:
    """Leaves out one group of units at a time from one stratum.

    Attributes:
        group: [N] the group of each image.
        share: [G] of the stratum's images that each group holds.
    """

    group: I64
    share: NDArray[np.float64]

    def rows(self, low: int, high: int) -> U8:
        """1 for images that stay and 0 for those left out, groups low..high - 1: [high - low, N]."""
        stays: U8 = (self.group[:, None] != np.arange(low, high)).astype(np.uint8).T
        return stays


def leave_out(units: Units, n: int, groups: int, seed: int, stratum: int) -> LeaveOut:
    """Deal the units of a stratum at random into groups of almost equal number.

    Conventions:
        At random, because rows are often sorted by class. As many groups as units, if fewer.
    """
    count = min(groups, units.count)
    dealt = np.empty(units.count, dtype=np.int64)
    # Three numbers: no stream of a block of resamples, which have two.
    dealt[_stream(seed, stratum, 0, 1).permutation(units.count)] = np.arange(units.count) % count
    group = dealt if units.members is None else dealt[units.members]
    return LeaveOut(group, np.bincount(group, minlength=count) / n)


def chunks(total: int, images: int) -> Iterator[tuple[int, int]]:
    """Ranges that cover 0..total - 1, cross no block, and keep weights within ``WEIGHTS_AT_ONCE``."""
    step = max(1, min(BLOCK, WEIGHTS_AT_ONCE // images))
    for start in range(0, total, BLOCK):
        last = min(start + BLOCK, total)
        for low in range(start, last, step):
            yield low, min(low + step, last)


def resample_weights(
    n: int, replicates: int, seed: int, stratum: int = 0, clusters: ArrayLike | None = None
) -> NDArray[Any]:
    """How often each image occurs in each resample of n images with replacement.

    Args:
        n: Number of images.
        replicates: Number of resamples, B.
        seed: Not negative.
        stratum: Which of several sets sampled side by side; each has a stream of its own.
        clusters: [n] ids; images of one cluster, such as corruptions of one picture, are
            drawn together.

    Returns:
        [B, n] uint8. Without clusters these are multinomial counts and every row sums to n;
        with clusters an image's count is its cluster's, and rows sum to n if sizes are equal.

    Raises:
        UndefinedMetricError: There are no images, or too few clusters.
        UsageError: A negative seed, no replicates, or ids that are not one per image.

    Conventions:
        PCG64, seeded by NumPy's ``SeedSequence(seed, spawn_key=(stratum, block))`` for each
        block of 100 replicates, so the first replicates do not depend on how many follow.

    >>> resample_weights(4, replicates=2, seed=0).sum(axis=1)
    array([4, 4], dtype=uint64)
    """
    require_counts(replicates=replicates, seed=seed)
    resampler = Resampler(units_of(n, clusters), seed, stratum)
    return np.concatenate([resampler.rows(low, high) for low, high in chunks(replicates, 1)])


def require_counts(*, seed: int, **at_least_one: int) -> None:
    """Refuse a negative seed, and any other number below 1."""
    for name, value, least in [("seed", seed, 0), *((name, value, 1) for name, value in at_least_one.items())]:
        if value < least:
            raise UsageError(
                where=f"bootstrap: {name}", what=f"{name} must be at least {least}", got=value, next="pass more"
            )
