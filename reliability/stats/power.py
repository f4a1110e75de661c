"""How many images a verdict needs, and the smallest effect a set of images can show."""

from __future__ import annotations

import math

from scipy.special import ndtri

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.auroc_score import exponential_variance
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
    _require_error("smallest_detectable_effect", standard_error)
    return sum(_quantiles("smallest_detectable_effect", level, power)) * standard_error


def images_needed(effect: float, standard_error: float, n: int, level: float = 0.95, power: float = 0.8) -> int:
    """Images with which a true effect is found, were the metric to vary as it does on n images.

    Args:
        effect: True distance to the margin, in the metric's unit, positive.
        standard_error: Measured or planned on ``n`` images.
        n: Images behind the standard error.
        level, power: As for :func:`smallest_detectable_effect`, whose inverse this is.

    Raises:
        UndefinedMetricError: A standard error, effect or n that is not finite and positive
            (the error may be 0).
        UsageError: As :func:`smallest_detectable_effect`.

    Conventions:
        The error shrinks as 1 / sqrt(n), and at least one image is needed. For several strata it
        scales all of them alike, so with n counted over all of them their shares stay.

    >>> images_needed(0.0222, math.sqrt(0.08 / 1000), 1000)
    1004
    """
    _require_error("images_needed", standard_error)
    _require_positive("images_needed", effect=effect, n=n)
    ratio = smallest_detectable_effect(standard_error, level, power) / effect
    return max(1, math.ceil(n * ratio * ratio))


def smallest_paired_effect(n: int, discordance: float, level: float = 0.95, power: float = 0.8) -> float | None:
    """The smallest true change in accuracy that n images show, given how many are discordant.

    Args:
        n: Images that both models see.
        discordance: Share of images on which exactly one model is right, in (0, 1].
        level, power: Of a one-sided McNemar test, as for :func:`smallest_detectable_effect`.

    Returns:
        A difference in accuracy; None if even discordance all in one direction is too little.

    Raises:
        UndefinedMetricError: No images, or a discordance outside (0, 1].
        UsageError: As :func:`smallest_detectable_effect`.

    Conventions:
        A change d makes the variance discordance - d^2, less than the discordance that the
        test assumes, so the effect is a little below ``smallest_detectable_effect``.

    Source:
        Miettinen, The matched pairs design in the case of all-or-none responses, 1968, solved
        for the difference. No departure.

    >>> round(smallest_paired_effect(1000, 0.08), 4)
    0.0222
    """
    _require_discordance("smallest_paired_effect", discordance)
    _require_positive("smallest_paired_effect", n=n)
    z_level, z_power = _quantiles("smallest_paired_effect", level, power)
    rest = n + z_power**2 - z_level**2
    if rest < 0.0:
        return None
    effect = math.sqrt(discordance) * (z_level * math.sqrt(n) + z_power * math.sqrt(rest)) / (n + z_power**2)
    return effect if effect <= discordance else None


def paired_images_needed(effect: float, discordance: float, level: float = 0.95, power: float = 0.8) -> int:
    """Images on which a true change in accuracy is found, given the share of discordant ones.

    Args:
        effect: Difference in accuracy, positive and at most ``discordance``.
        discordance: Share of images on which exactly one model is right, in (0, 1].
        level, power: As for :func:`smallest_paired_effect`, whose inverse this is.

    Raises:
        UndefinedMetricError: An effect that is not positive or that exceeds the discordance,
            which no accuracy change can.
        UsageError: As :func:`smallest_detectable_effect`.

    Source:
        Miettinen, 1968; Connor, Sample size for testing differences in proportions for the
        paired-sample design, 1987. No departure.

    >>> paired_images_needed(0.0222, 0.08)
    1002
    """
    _require_discordance("paired_images_needed", discordance)
    _require_positive("paired_images_needed", effect=effect)
    if effect > discordance:
        raise _senseless("paired_images_needed", "an effect is at most the share of discordant images", effect)
    z_level, z_power = _quantiles("paired_images_needed", level, power)
    root = z_level * math.sqrt(discordance) + z_power * math.sqrt(discordance - effect**2)
    return math.ceil((root / effect) ** 2)


def planned_auroc_error(auroc: float, correlation: float, n_id: int, n_ood: int) -> float:
    """Standard error to expect of the paired harm in AUROC, before there are scores.

    Pass it on to :func:`smallest_detectable_effect` or :func:`images_needed`. With scores at
    hand, take DeLong's standard error instead.

    Args:
        auroc: Expected of both models, in [0, 1].
        correlation: Of the two AUROCs over samples of images, in [-1, 1]; near 1 for a
            careful quantization.
        n_id, n_ood: Images in each set.

    Raises:
        UndefinedMetricError: A number outside its range.

    Source:
        Hanley & McNeil, The meaning and use of the area under a receiver operating
        characteristic curve, 1982, and A method of comparing the areas under receiver
        operating characteristic curves derived from the same cases, 1983. Departure: the
        correlation is given, not looked up in their table.

    >>> round(planned_auroc_error(0.94, 0.95, 2000, 2000), 5)
    0.00124
    """
    if not (0.0 <= auroc <= 1.0 and -1.0 <= correlation <= 1.0):
        raise _senseless(
            "planned_auroc_error", "an AUROC lies in [0, 1], a correlation in [-1, 1]", (auroc, correlation)
        )
    _require_positive("planned_auroc_error", n_id=n_id, n_ood=n_ood)
    variance = exponential_variance(auroc, n_id, n_ood, n_id - 1, n_ood - 1)
    return math.sqrt(2.0 * variance * (1.0 - correlation))


def _quantiles(where: str, level: float, power: float) -> tuple[float, float]:
    if not (0.5 < level < 1.0 and 0.5 <= power < 1.0):
        raise UsageError(
            where=where,
            what="level lies in (0.5, 1) and power in [0.5, 1)",
            got=f"level {level}, power {power}",
            next="pass 0.95 and 0.8, for instance",
        )
    return float(ndtri(level)), float(ndtri(power))


def _require_error(where: str, standard_error: float) -> None:
    if not (math.isfinite(standard_error) and standard_error >= 0):
        raise UndefinedMetricError(
            where=f"{where}: standard_error",
            what="a standard error is finite and not negative",
            got=standard_error,
            next="see where the replicates lost their value",
        )


def _require_discordance(where: str, discordance: float) -> None:
    if not 0.0 < discordance <= 1.0:
        raise _senseless(f"{where}: discordance", "a share of discordant images lies in (0, 1]", discordance)


def _require_positive(where: str, **numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise _senseless(f"{where}: {name}", f"{name} is finite and positive", value)


def _senseless(where: str, rule: str, got: object) -> UndefinedMetricError:
    return UndefinedMetricError(where=where, what=f"nothing to plan: {rule}", got=got, next="check what was passed")
