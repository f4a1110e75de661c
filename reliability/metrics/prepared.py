"""What every metric becomes once its data is read, and the commonest case: means over images.

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
from scipy.sparse import csr_array, hstack, issparse

from reliability.errors import UsageError
from reliability.types import F64

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
        statistics: [N, K] float64 sufficient statistics of each image; sparse where a metric
            has many columns, such as some for each class, and an image touches few of them.
        finish: Weighted means [B, K] to values [B].

    Conventions:
        Sums run in float64. A finish may return NaN for a resample on which the
        metric has no value; the interval then refuses it.
    """

    statistics: F64 | csr_array
    finish: Callable[[F64], F64]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (self.statistics.shape[0],)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]."""
        require_shapes(weights, self.sizes)
        counts = np.asarray(weights[0], dtype=np.float64)
        with np.errstate(over="ignore"):  # a sum beyond the range of floats becomes infinite, and is refused as such
            if len(counts) == 1:
                # The metric alone takes no copy of its statistics.
                return self.finish(counts @ self.statistics / counts.sum())
            # A column of ones totals the weights in the same pass over them.
            sums = counts @ self._with_ones
        return self.finish(sums[:, :-1] / sums[:, -1:])

    @cached_property
    def _with_ones(self) -> F64 | csr_array:
        columns = [self.statistics, np.ones((*self.sizes, 1))]
        return hstack(columns, format="csr") if issparse(self.statistics) else np.hstack(columns)


def mean_of(values: F64) -> PerImage:
    """The metric that is the plain mean of [N] per-image values."""
    return PerImage(values[:, None], lambda means: means[:, 0])


@dataclass(frozen=True)
class Apart:
    """A metric of several sets of images, each measured by itself.

    Attributes:
        parts: One for each set, in the order of the weights.
        finish: Their values, [B] each, to values [B].
    """

    parts: tuple[Prepared, ...]
    finish: Callable[..., F64]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the parts in turn."""
        return tuple(n for part in self.parts for n in part.sizes)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights, one matrix [B, N] for each size."""
        require_shapes(weights, self.sizes)
        left = iter(weights)
        return self.finish(*(part(*(next(left) for _ in part.sizes)) for part in self.parts))


def require_shapes(weights: tuple[Weights, ...], sizes: tuple[int, ...]) -> None:
    """Refuse weights that are not one matrix [B, N] for each of ``sizes``.

    Raises:
        UsageError: Naming both shapes.
    """
    got = tuple(np.shape(w) for w in weights)
    if tuple(shape[1:] for shape in got) != tuple((n,) for n in sizes):
        expected = ", ".join(f"[B, {n}]" for n in sizes)
        raise UsageError(
            where="image weights", what=f"weights must be {expected}", got=got, next="pass one count per image"
        )
