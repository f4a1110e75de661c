"""Evidence about one number, as p-values of one-sided hypotheses: from a standard error or from a bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from reliability.errors import UsageError
from reliability.stats.asymptotic import normal_score, read_vector, undefined
from reliability.types import F64, Interval


@dataclass(frozen=True)
class NormalEvidence:
    """An estimate with its standard error: normal, t, or normal but for some skewness.

    Attributes:
        estimate, standard_error: In the metric's unit.
        degrees: Of freedom of the standard error; infinite for the normal distribution.
        skewness: Of the estimate over samples of images, which a limit on the long side makes up for.

    Raises:
        UndefinedMetricError: A number that is not finite, a negative error, or degrees that
            are not positive.

    Conventions:
        A standard error of 0 makes the estimate a certainty: 0 where it contradicts the
        hypothesis, else 1. So a model compared with itself never counts as improved. A
        p-value is below 1 - L exactly where the limit at level L excludes the value.

    Source:
        Hall, On the removal of skewness by transformation, 1992, for the cubic transform of t
        with known skewness. No departure.

    >>> round(NormalEvidence(0.0, 0.01).p_below(0.02), 4)
    0.0228
    """

    estimate: float
    standard_error: float
    degrees: float = math.inf
    skewness: float = 0.0

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.estimate, self.standard_error, self.skewness)))
        if not (finite and self.standard_error >= 0.0 and self.degrees > 0.0):
            raise undefined(
                "NormalEvidence",
                "the numbers must be finite, the error not negative and the degrees positive",
                self,
                "see where they come from",
            )

    def p_below(self, value: float) -> float:
        """P-value of "the truth is ``value`` or more"; a small one says it is less."""
        return self._tail(value, 1.0)

    def p_above(self, value: float) -> float:
        """P-value of "the truth is ``value`` or less"; a small one says it is more."""
        return self._tail(value, -1.0)

    def limits(self, level: float) -> Interval:
        """The values that neither one-sided test rejects at ``level``.

        Raises:
            UsageError: A level outside (0.5, 1).

        >>> round(NormalEvidence(0.0, 1.0, degrees=4).limits(0.95).upper, 3)
        2.132
        """
        normal = normal_score("limits", level)
        quantile = normal if math.isinf(self.degrees) else float(stdtrit(self.degrees, level))
        lower, upper = (self.estimate - self.standard_error * _skewed(q, self.skewness) for q in (quantile, -quantile))
        return Interval(self.estimate, lower, upper, level, self.standard_error)

    def _tail(self, value: float, sign: float) -> float:
        """P(T <= t) for sign 1 and P(T >= t) for -1, with t the estimate's distance above the value."""
        distance = self.estimate - _number(value)
        if self.standard_error == 0.0:
            return float(sign * distance >= 0.0)
        t = sign * _unskewed(distance / self.standard_error, self.skewness)
        return float(ndtr(t) if math.isinf(self.degrees) else stdtr(self.degrees, t))


@dataclass(frozen=True)
class BootstrapEvidence:
    """Replicates of an estimate on resamples of the images.

    Attributes:
        estimate: The value on the images as they are.
        replicates: [B] values on resamples.
        method: Which limits to invert. ``percentile`` counts replicates on the hypothesis'
            side of the value; ``basic`` mirrors them at the estimate first.

    Raises:
        UndefinedMetricError: A number that is not finite, or no replicates.
        UsageError: An unknown method.

    Conventions:
        (1 + count) / (1 + B), so never 0 and never below 1 / (1 + B): Holm over K claims at
        0.05 needs B of at least 20 K. It agrees with the limit that ``interval`` gives to
        within one or two replicates.

    Source:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, for the inversion; Davison
        & Hinkley, Bootstrap Methods and their Application, 1997, for the added 1. No departure.

    >>> BootstrapEvidence(0.5, np.arange(1, 100) / 100).p_below(0.96)
    0.05
    """

    estimate: float
    replicates: NDArray[Any]
    method: Literal["percentile", "basic"] = "percentile"

    def __post_init__(self) -> None:
        if self.method not in ("percentile", "basic"):
            raise UsageError(
                where="BootstrapEvidence: method", what="unknown method", got=self.method, next="percentile or basic"
            )
        read_vector("BootstrapEvidence: estimate", [self.estimate])
        read_vector("BootstrapEvidence: replicates", self.replicates)

    def p_below(self, value: float) -> float:
        """P-value of "the truth is ``value`` or more"; a small one says it is less."""
        return self._share(self._draws() >= _number(value))

    def p_above(self, value: float) -> float:
        """P-value of "the truth is ``value`` or less"; a small one says it is more."""
        return self._share(self._draws() <= _number(value))

    def _draws(self) -> F64:
        draws = np.asarray(self.replicates, dtype=np.float64)
        return 2.0 * self.estimate - draws if self.method == "basic" else draws

    def _share(self, against: NDArray[np.bool_]) -> float:
        return (1 + int(against.sum())) / (1 + len(against))


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise undefined("evidence: value", "the value tested must be finite", value, "pass a margin")
    return value


def _unskewed(t: float, skewness: float) -> float:
    """Hall's increasing cubic of a studentised estimate, whose distribution is more nearly normal."""
    return t + skewness * t * t / 3.0 + skewness**2 * t**3 / 27.0 + skewness / 6.0


def _skewed(quantile: float, skewness: float) -> float:
    """The inverse of :func:`_unskewed`."""
    # Below this the cube root cancels, and the two terms left out are smaller than rounding.
    if abs(skewness) < 1e-6:
        return quantile - skewness / 6.0 - skewness * quantile * quantile / 3.0
    return float(3.0 / skewness * (np.cbrt(1.0 + skewness * (quantile - skewness / 6.0)) - 1.0))
