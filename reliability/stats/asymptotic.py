"""What exact and asymptotic methods share: arguments that are read and refused alike."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from reliability.errors import UndefinedMetricError, UsageError
from reliability.types import F64, Interval


def normal_score(method: str, level: float) -> float:
    """The standard normal quantile of a one-sided level; ``method`` is named in errors.

    Raises:
        UsageError: A level outside (0.5, 1).

    >>> round(normal_score("example", 0.95), 4)
    1.6449
    """
    if not 0.5 < level < 1.0:
        raise UsageError(
            where=f"{method}: level", what="a level lies between 0.5 and 1", got=level, next="pass 0.95, for instance"
        )
    return float(ndtri(level))


def score_interval(estimate: float, lower: float, upper: float, level: float) -> Interval:
    """An interval whose standard error is its width in normal units.

    Limits of score type keep a width where the plug-in standard error is 0, such as no
    discordant image at all; half their distance over the normal quantile then tells what
    the images could have shown, and approaches the plug-in error in large samples.

    >>> round(score_interval(0.0, -0.2, 0.2, 0.975).standard_error, 3)
    0.102
    """
    width = (upper - lower) / (2.0 * normal_score("limits", level))
    return Interval(float(estimate), float(lower), float(upper), level, float(width))


def undefined(where: str, rule: str, got: object, next: str) -> UndefinedMetricError:
    """The error for numbers on which a statistic has no value."""
    return UndefinedMetricError(where=where, what=f"not defined: {rule}", got=got, next=next)


def read_count(where: str, value: object, least: int = 0) -> int:
    """A whole number of images, at least ``least``; floats are refused even where they are whole."""
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise undefined(where, "a count is a whole number", repr(value), "pass an int") from error
    if count < least:
        raise undefined(where, f"the count must be at least {least}", count, "check what was selected")
    return count


def read_vector(where: str, values: ArrayLike, least: int = 1) -> F64:
    """Finite numbers [N] as float64, at least ``least`` of them; the first that is not finite is named."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise undefined(where, "the input cannot be read as numbers", error, "pass a list or an array") from error
    if array.ndim != 1:
        raise undefined(where, "the input must have one axis", f"shape {array.shape}", "reshape it")
    if len(array) < least:
        raise undefined(where, f"at least {least} values are needed", len(array), "check what was selected")
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argmin(finite))
        raise undefined(f"{where}[{first}]", "every number must be finite", array[first], "see where it lost its value")
    return array
