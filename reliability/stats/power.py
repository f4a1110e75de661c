"""How many images a verdict needs, and the smallest effect a set of images can show."""

from __future__ import annotations

import math

from scipy.special import ndtri

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.noninferiority import Region, relation_outcome, relation_region
from reliability.types import Interval, Relation


def settling_n(relation: Relation, interval: Interval, margin: float, n: int) -> int | None:
    """Images that would settle an inconclusive verdict, were all else to stay as it is.

    The distance of a limit from the estimate shrinks as 1 / sqrt(n), so the answer is n
    times the squared ratio of that distance to the room left before the margin.

    Args:
        relation, interval, margin: As in ``relation_outcome``.
        n: Images behind the interval.

    Returns:
        A number of images; ``n`` if the verdict is already settled; None if no number
        would do, because the estimate lies on the margin itself or the interval is a point.

    Raises:
        UndefinedMetricError, UsageError: As ``relation_outcome``.

    Conventions:
        An extrapolation from one sample: read it as an order of magnitude. For several
        strata it scales all of them alike.

    >>> settling_n("not_worse", Interval(0.0, -0.02, 0.02, 0.95, 0.012), 0.01, 1000)
    4001
    """
    if relation_outcome(relation, interval, margin) != "inconclusive":
        return n
    ratio = _needed_ratio(relation_region(relation, margin), interval)
    needed = n * ratio * ratio
    # One more image than the exact answer: some limits must be passed, not just met.
    return math.floor(needed) + 1 if math.isfinite(needed) else None


def _needed_ratio(region: Region, interval: Interval) -> float:
    """How many times narrower the interval must be to leave the ends of the region."""
    estimate = interval.estimate
    if estimate in (region.low, region.high):
        return math.inf
    above, below = interval.upper - estimate, estimate - interval.lower
    if estimate > region.high:
        return below / (estimate - region.high)
    if estimate < region.low:
        return above / (region.low - estimate)
    return max(above / (region.high - estimate), below / (estimate - region.low))


def smallest_detectable_effect(standard_error: float, level: float, power: float = 0.8) -> float:
    """The smallest true effect that a one-sided test at ``level`` finds with probability ``power``.

    Args:
        standard_error: Of the estimate, in the metric's unit.
        level: Confidence of the one-sided limit, such as 0.95.
        power: Probability to find the effect.

    Returns:
        ``(z_level + z_power) * standard_error``, in the metric's unit.

    Raises:
        UndefinedMetricError: A standard error that is negative or not finite.
        UsageError: A level outside (0.5, 1) or a power outside [0.5, 1).

    Conventions:
        A normal approximation that takes the standard error to be the same with and
        without the effect. For paired accuracy with a share d of discordant images,
        the standard error is about sqrt(d / n).

    >>> round(smallest_detectable_effect(math.sqrt(0.08 / 1000), 0.95), 3)
    0.022
    """
    if not (math.isfinite(standard_error) and standard_error >= 0):
        raise UndefinedMetricError(
            where="smallest_detectable_effect: standard_error",
            what="a standard error is finite and not negative",
            got=standard_error,
            next="see where the replicates lost their value",
        )
    if not (0.5 < level < 1.0 and 0.5 <= power < 1.0):
        raise UsageError(
            where="smallest_detectable_effect",
            what="level lies in (0.5, 1) and power in [0.5, 1)",
            got=f"level {level}, power {power}",
            next="pass 0.95 and 0.8, for instance",
        )
    return float((ndtri(level) + ndtri(power)) * standard_error)
