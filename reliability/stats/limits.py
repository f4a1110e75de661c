"""From replicates of an estimate to its one-sided limits.

========== ======================== ==================================================
method     upper limit at level L   right to second order, and when
========== ======================== ==================================================
percentile L quantile               no; never leaves the metric's range
basic      2 estimate - quantile    no; takes out the bias of the resamples
bca        an adjusted quantile     yes, for smooth statistics
student    by the replicates of t   yes, for means; see :func:`studentised_mean`
========== ======================== ==================================================
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from reliability.errors import UndefinedMetricError, UsageError
from reliability.types import F64, Interval

Method = Literal["percentile", "basic", "bca"]
METHODS: tuple[Method, ...] = ("percentile", "basic", "bca")

# Replicates this close to the estimate, in standard errors or in the metric's unit, are equal
# to it but for the order of a float64 sum. Steps of a rate are 1e-4 standard errors or more.
_EQUAL_SPREAD = 1e-9
_EQUAL_UNIT = 1e-13


def interval(
    estimate: float,
    replicates: NDArray[Any],
    level: float,
    method: Method = "percentile",
    influence: NDArray[Any] | None = None,
) -> Interval:
    """One-sided limits of an estimate from its replicates, each at ``level``.

    Args:
        estimate: The value on the images as they are.
        replicates: [B] values on resamples.
        level: Confidence of each limit, in (0.5, 1); both together hold at 2 * level - 1.
        method: ``percentile`` takes quantiles of the replicates. ``basic`` mirrors them at the
            estimate, which removes the bias of the resamples from the limits. ``bca`` moves
            the quantiles by the median bias and by how fast the standard error changes.
        influence: [G] of the jackknife, which ``bca`` needs; see ``jackknife_influence``.

    Raises:
        UndefinedMetricError: A number that is not finite (a degenerate resample), or fewer
            than 1 / (1 - level) replicates. For ``bca`` also: all replicates on one side of
            the estimate, so that the bias is infinite; or limits further out than the
            replicates reach.
        UsageError: An unknown method, a level outside (0.5, 1), or ``bca`` without influence.

    Conventions:
        Quantiles interpolate linearly. Replicates that all equal the estimate, as for a model
        compared with itself, give a point. That also happens where too few images differ at
        all, so demand a minimum number of images before trusting a point. For ``bca`` a
        replicate equal to the estimate counts one half below it, and an influence of zero
        throughout is an acceleration of zero.

    Source:
        Efron, Better bootstrap confidence intervals, 1987, for ``bca``. Departures: ties
        count one half, since metrics of counts tie often; the acceleration comes from groups
        of images.

    >>> round(interval(0.5, np.linspace(0, 1, 2001), 0.95).upper, 3)
    0.95
    """
    draws = np.asarray(replicates, dtype=np.float64)
    require_level(level)
    require_enough(estimate, draws, level)
    lower, upper = _limits(float(estimate), draws, level, method, influence)
    return Interval(float(estimate), lower, upper, level, float(draws.std(ddof=1)))


def _limits(
    estimate: float, draws: F64, level: float, method: str, influence: NDArray[Any] | None
) -> tuple[float, float]:
    if method == "bca":
        return _bca(estimate, draws, level, influence)
    lower, upper = _quantiles(draws, 1.0 - level, level)
    if method == "percentile":
        return lower, upper
    if method == "basic":
        return 2.0 * estimate - upper, 2.0 * estimate - lower
    raise UsageError(where="interval: method", what="unknown method", got=method, next=f"one of {', '.join(METHODS)}")


def _bca(estimate: float, draws: F64, level: float, influence: NDArray[Any] | None) -> tuple[float, float]:
    if influence is None:
        raise UsageError(
            where="interval: influence", what="bca needs the jackknife", got=None, next="pass jackknife_influence(...)"
        )
    tolerance = max(_EQUAL_UNIT, _EQUAL_SPREAD * float(draws.std()))
    if (np.abs(draws - estimate) <= tolerance).all():
        return estimate, estimate
    bias = _median_bias(estimate, draws, tolerance)
    a = acceleration(influence)
    shifted = bias + np.array([-1.0, 1.0]) * ndtri(level)
    room = 1.0 - a * shifted
    levels = ndtr(bias + shifted / np.where(room > 0, room, np.nan))
    # NaN, from an acceleration that leaves no room, fails this too.
    if not (np.minimum(levels, 1.0 - levels) * len(draws) >= 1.0).all():
        raise _degenerate(
            "the limits lie further out than the replicates reach",
            f"quantiles {levels[0]:.2g} and {levels[1]:.2g} of {len(draws)}, bias {bias:.2f}, acceleration {a:.2f}",
            "use more images or replicates; for a strongly biased metric use basic",
        )
    return _quantiles(draws, *levels)


def _median_bias(estimate: float, draws: F64, tolerance: float) -> float:
    """Normal quantile of the share of replicates below the estimate."""
    below = (draws < estimate - tolerance).mean() + 0.5 * (np.abs(draws - estimate) <= tolerance).mean()
    if not 0.0 < below < 1.0:
        raise _degenerate(
            "all replicates lie on one side of the estimate",
            f"estimate {estimate}, replicates {draws.min()} to {draws.max()}",
            "use more images; for a strongly biased metric use basic",
        )
    return float(ndtri(below))


def acceleration(influence: NDArray[Any]) -> float:
    """Rate at which the standard error changes with the estimate: a sixth of its skewness.

    Args:
        influence: [G] of the jackknife.

    Returns:
        The acceleration; 0 where no group has any influence.

    Raises:
        UndefinedMetricError: An influence that is not finite.

    >>> acceleration(np.array([-1.0, -1.0, 2.0])) > 0
    True
    """
    pulls = np.asarray(influence, dtype=np.float64)
    if not np.isfinite(pulls).all():
        raise _degenerate(
            "the statistic has no value without some images",
            f"{(~np.isfinite(pulls)).sum()} of {len(pulls)} influences non-finite",
            "use more images, above all in the smallest group",
        )
    # Scaled first, so that cubes of small influences do not vanish.
    largest = np.abs(pulls).max()
    if largest == 0:
        return 0.0
    pulls = pulls / largest
    return float((pulls**3).sum() / (6.0 * (pulls**2).sum() ** 1.5))


def _quantiles(draws: F64, low: float, high: float) -> tuple[float, float]:
    lower, upper = np.quantile(draws, [low, high])
    return float(lower), float(upper)


def _degenerate(what: str, got: str, next: str) -> UndefinedMetricError:
    return UndefinedMetricError(where="interval: bca", what=f"no interval: {what}", got=got, next=next)


def require_level(level: float) -> None:
    """Refuse a level outside (0.5, 1)."""
    if not 0.5 < level < 1.0:
        raise UsageError(
            where="interval: level", what="a level lies between 0.5 and 1", got=level, next="pass 0.95, for instance"
        )


def require_enough(estimate: float, draws: F64, level: float) -> None:
    """Refuse numbers that are not finite, and fewer replicates than a limit at the level takes."""
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
