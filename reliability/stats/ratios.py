"""Ratios of means over the same images, as means of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reliability.errors import UndefinedMetricError
from reliability.types import F64


def linear_mean_ratio(above: ArrayLike, below: ArrayLike) -> F64:
    """Values of each image whose mean is a mean of ratios, and whose spread is that of the ratio to first order.

    With A_k and B_k the means over images, the mean over k of A_k / B_k moves with image i by
    the mean over k of (a_ik - A_k / B_k b_ik) / B_k. Limits of the mean of these values are
    limits of the ratio.

    Args:
        above, below: [N, K] numerators and denominators of each image; or [N] for one ratio.

    Returns:
        [N] float64; its mean is the ratio as it is.

    Raises:
        UndefinedMetricError: A mean denominator that is not positive and finite.

    Source:
        The linearised ratio (delta method), as in Cochran, Sampling Techniques, 1977, section
        2.11. No departure; the bias of a ratio, of order 1 / N, is not corrected.

    >>> linear_mean_ratio([2.0, 4.0], [1.0, 3.0]).tolist()
    [1.75, 1.25]
    """
    numerators, denominators = (_columns(values) for values in (above, below))
    totals = denominators.mean(axis=0)
    if not (np.isfinite(totals) & (totals > 0)).all():
        raise UndefinedMetricError(
            where="ratio of means", what="the mean denominators must be positive and finite", got=totals.min(),
            next="leave out what the ratio is not defined for, or use more images",
        )  # fmt: skip
    ratios = numerators.mean(axis=0) / totals
    values: F64 = ratios.mean() + ((numerators - ratios * denominators) / totals).mean(axis=1)
    return values


def _columns(values: ArrayLike) -> F64:
    read = np.asarray(values, dtype=np.float64)
    return read.reshape(len(read), -1)
