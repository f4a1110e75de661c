"""Several hypotheses at once: adjusted p-values that keep what they promise about the whole family.

Gates need none of this: shipping asks for every one of them, so each is tested at its own
level (an intersection-union test). It is needed where any single success would be
reported, as with claims that a candidate improves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UsageError
from reliability.stats.asymptotic import read_vector, undefined
from reliability.types import F64


@dataclass(frozen=True)
class Decisions:
    """What a correction says about K hypotheses, in the order they were given.

    Attributes:
        adjusted: [K] p-values that can be compared with the error rate directly.
        rejected: [K] whether each null hypothesis is rejected.
        error_rate: Of the family.
    """

    adjusted: F64
    rejected: NDArray[np.bool_]
    error_rate: float


def holm(p_values: ArrayLike, error_rate: float = 0.05) -> Decisions:
    """Holm's step-down correction of a family of hypotheses.

    Rejects null hypotheses such that the probability to reject even one true one is at most
    ``error_rate`` (familywise error in the strong sense), however the tests depend on one
    another and whichever nulls are true.

    Args:
        p_values: [K], each valid on its own.
        error_rate: Of the family, in (0, 0.5).

    Raises:
        UndefinedMetricError: No hypotheses, or a value that is not a number in [0, 1].
        UsageError: An error rate outside (0, 0.5).

    Conventions:
        Equal p-values are decided alike. An adjusted value equal to the rate rejects.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, 1979. No departure.

    >>> holm([0.01, 0.04, 0.03]).adjusted.round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    ordered, order = _sorted("holm", p_values, error_rate)
    factors = np.arange(len(ordered), 0, -1)
    return _decide(np.maximum.accumulate(factors * ordered), order, error_rate)


def benjamini_hochberg(p_values: ArrayLike, error_rate: float = 0.05) -> Decisions:
    """Benjamini and Hochberg's step-up correction of a family of hypotheses.

    Rejects null hypotheses such that the expected share of true ones among those rejected
    (false discovery rate) is at most ``error_rate``. That is a promise about a list of
    findings, not about each of them: use it for observed claims, never for a gate. It holds
    for independent tests and for positive regression dependence, such as one-sided tests of
    several metrics on the same images whose errors are positively correlated.

    Args:
        p_values: [K], each valid on its own.
        error_rate: Of the findings, in (0, 0.5).

    Raises:
        UndefinedMetricError: No hypotheses, or a value that is not a number in [0, 1].
        UsageError: An error rate outside (0, 0.5).

    Conventions:
        Equal p-values are decided alike. An adjusted value equal to the rate rejects.

    Source:
        Benjamini & Hochberg, Controlling the false discovery rate, 1995; Benjamini &
        Yekutieli, 2001, for dependence. No departure.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).adjusted.round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    ordered, order = _sorted("benjamini_hochberg", p_values, error_rate)
    scaled = len(ordered) / np.arange(1, len(ordered) + 1) * ordered
    return _decide(np.minimum.accumulate(scaled[::-1])[::-1], order, error_rate)


def _sorted(method: str, p_values: ArrayLike, error_rate: float) -> tuple[F64, NDArray[np.intp]]:
    if not 0.0 < error_rate < 0.5:
        raise UsageError(
            where=f"{method}: error_rate", what="an error rate lies between 0 and 0.5", got=error_rate, next="pass 0.05"
        )
    values = read_vector(f"{method}: p_values", p_values)
    outside = np.flatnonzero((values < 0.0) | (values > 1.0))
    if len(outside):
        raise undefined(
            f"{method}: p_values[{outside[0]}]",
            "a p-value lies in [0, 1]",
            values[outside[0]],
            "pass p-values, not scores",
        )
    order = np.argsort(values, kind="stable")
    return values[order], order


def _decide(ordered: F64, order: NDArray[np.intp], error_rate: float) -> Decisions:
    adjusted = np.empty(len(ordered))
    adjusted[order] = np.minimum(ordered, 1.0)
    return Decisions(adjusted, adjusted <= error_rate, error_rate)
