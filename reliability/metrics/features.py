"""Arithmetic on feature matrices [N, D] of any magnitude.

Squares of numbers beyond 1e154 overflow and those below 1e-154 vanish, so features
are first divided by a power of two, which costs no digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.metrics.checks import undefined
from reliability.metrics.prepared import Weights, require_shapes
from reliability.types import F64

# Rows that are handled at once hold 2**20 float64 values, 8 MiB.
_BLOCK_VALUES = 2**20
# Variation below this share of the squares it is the difference of is rounding, not variation.
_ROUNDING = 1e-12


def exponent(*arrays: F64) -> int:
    """The power of two just above every magnitude, so that ``np.ldexp(array, -exponent)`` lies within 1."""
    peak = max(max(float(array.max()), -float(array.min())) for array in arrays)
    return int(np.frexp(peak)[1])


def unit_rows(metric: str, argument: str, features: F64) -> F64:
    """Rows of [N, D] divided by their lengths, whatever these are.

    Raises:
        UndefinedMetricError: A row is all zero; the first is named.
    """
    peak = np.maximum(features.max(axis=1), -features.min(axis=1))
    zero = np.flatnonzero(peak == 0.0)
    if len(zero):
        raise undefined(
            metric, f"{argument}[{zero[0]}]", "a feature that is all zero has no direction", "zeros",
            "look at the layer it came from",
        )  # fmt: skip
    unit: F64 = np.ldexp(features, -np.frexp(peak)[1][:, None])
    unit /= np.sqrt(np.einsum("nd,nd->n", unit, unit))[:, None]
    return unit


def require_variation(metric: str, argument: str, features: F64) -> None:
    """Refuse features that are the same for every image.

    Raises:
        UndefinedMetricError: They are.
    """
    if (features == features[0]).all():
        raise undefined(
            metric, f"{argument}[0] and all others", "features that never change have no covariance",
            "one feature for every image", "look for saturation in the layer they came from",
        )  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """A metric of the mean products of features, ``X.T @ W @ X / sum(W)``, or of their covariance.

    Attributes:
        parts: [N, D] features, or several matrices that stand side by side; each is scaled
            by a power of two of its own, so ``finish`` must not depend on their units.
        finish: Mean products [D, D], D over all parts, to the value.
        centred: Whether the mean of the (weighted) images is taken off.

    Conventions:
        NaN on a resample in which a part is zero or, if centred, never changes. One
        resample costs D**2 / 2 multiplications for every image it draws and what
        ``finish`` needs (one core, 10,000 images: some 0.1 s at D = 512, 0.4 s at
        D = 1,024); memory is a few blocks beside the features.
    """

    parts: tuple[F64, ...]
    finish: Callable[[F64], float]
    centred: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.parts[0]),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]."""
        require_shapes(weights, self.sizes)
        return np.array([self._value(counts) for counts in np.asarray(weights[0])])

    def _value(self, counts: NDArray[Any]) -> float:
        rows = np.flatnonzero(counts)
        products, mean = self._sums(rows, counts[rows].astype(np.float64))
        squares = self._per_part(products)
        products -= np.outer(mean, mean)
        varies = self._per_part(products) > _ROUNDING * squares
        return float(self.finish(products)) if varies.all() else np.nan

    def _sums(self, rows: NDArray[np.intp], counts: F64) -> tuple[F64, F64]:
        """Weighted mean products, and the weighted mean if it is to be taken off."""
        width = sum(part.shape[1] for part in self.parts)
        products, mean = np.zeros((width, width)), np.zeros(width)
        for some, block in self._blocks(rows):
            block -= self._origin
            if self.centred:
                mean += counts[some] @ block
            block *= np.sqrt(counts[some])[:, None]
            products += block.T @ block
        with np.errstate(invalid="ignore"):  # no image drawn: the share of nothing is NaN
            return products / counts.sum(), mean / counts.sum()

    def _per_part(self, products: F64) -> F64:
        starts = np.cumsum([0, *(part.shape[1] for part in self.parts)])[:-1]
        return np.add.reduceat(np.diag(products), starts)

    def _blocks(self, rows: NDArray[np.intp]) -> Iterator[tuple[slice, F64]]:
        """Some of the rows of all parts, scaled, and which of the rows they are."""
        step = max(1, _BLOCK_VALUES // sum(part.shape[1] for part in self.parts))
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            yield some, np.hstack([np.ldexp(p[rows[some]], -e) for p, e in zip(self.parts, self._scale, strict=True)])

    @cached_property
    def _scale(self) -> tuple[int, ...]:
        return tuple(exponent(part) for part in self.parts)

    @cached_property
    def _origin(self) -> F64 | float:
        # Near the mean of a resample, so that taking that off costs no digits.
        if not self.centred:
            return 0.0
        total: F64 = np.sum([block.sum(axis=0) for _, block in self._blocks(np.arange(*self.sizes))], axis=0)
        return total / self.sizes[0]


def principal_directions(features: F64) -> tuple[F64, F64]:
    """Singular values [R], in units of the largest magnitude's power of two, and right singular vectors [R, D].

    Conventions:
        Uncentred. R is the numerical rank: singular values up to ``max(N, D)`` roundings
        of the largest count as zero.
    """
    triangle = np.linalg.qr(np.ldexp(features, -exponent(features)), mode="r")
    _, values, directions = np.linalg.svd(triangle, full_matrices=False)
    held = values > max(features.shape) * np.finfo(np.float64).eps * values[0]
    return values[held], directions[held]


def by_octave(per_rank: F64) -> F64:
    """Sums over the ranks 1, 2, 3-4, 5-8, 9-16, ... of values in order of rank."""
    return np.add.reduceat(per_rank, [0, *octaves(len(per_rank))])


def octaves(ranks: int) -> list[int]:
    """Last rank of every octave but the one that holds, or ends at, rank ``ranks``: 1, 2, 4, 8, ...

    >>> octaves(6), octaves(8), octaves(1)
    ([1, 2, 4], [1, 2, 4], [])
    """
    return [2**k for k in range((ranks - 1).bit_length())]
