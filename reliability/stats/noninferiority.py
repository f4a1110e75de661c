"""From an interval to an outcome, and from evidence to a p-value: what the relations mean."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Protocol

from reliability.errors import UndefinedMetricError, UsageError
from reliability.types import Interval, Outcome, Relation


@dataclass(frozen=True)
class Region:
    """The true values under which a relation holds.

    Attributes:
        low, high: Ends, infinite where there is none.
        open: Whether the ends themselves are outside.
        inverted: Whether the relation holds everywhere but here.
    """

    low: float
    high: float
    open: bool = False
    inverted: bool = False

    def contains(self, interval: Interval) -> bool:
        """Whether both limits are inside."""
        if self.open:
            return self.low < interval.lower and interval.upper < self.high
        return self.low <= interval.lower and interval.upper <= self.high

    def excludes(self, interval: Interval) -> bool:
        """Whether the interval has no point inside."""
        if self.open:
            return interval.lower >= self.high or interval.upper <= self.low
        return interval.lower > self.high or interval.upper < self.low


def relation_region(relation: Relation, margin: float) -> Region:
    """The region of a relation.

    Args:
        relation: One of the eight.
        margin: In the metric's unit. The most harm allowed (for ``not_better``
            the most gain), or for ``at_least`` and ``at_most`` the value itself; ``improves``,
            ``worsens`` and ``differs`` do not use it.

    Raises:
        UsageError: An unknown relation, or ``equivalent`` with a negative margin.
        UndefinedMetricError: A margin that is not finite.
    """
    _require_finite(margin=margin)
    regions = {
        "not_worse": Region(-math.inf, margin),
        "improves": Region(-math.inf, 0.0, open=True),
        "equivalent": Region(-margin, margin),
        "at_least": Region(margin, math.inf),
        "at_most": Region(-math.inf, margin),
        "differs": Region(0.0, 0.0, inverted=True),
        "not_better": Region(-margin, math.inf),
        "worsens": Region(0.0, math.inf, open=True),
    }
    if relation not in regions:
        close = difflib.get_close_matches(relation, regions, n=1) or sorted(regions)
        raise UsageError(
            where="relation", what="unknown relation", got=relation, next=f"choose one of {', '.join(close)}"
        )
    if relation == "equivalent" and margin < 0:
        raise UsageError(
            where="margin of equivalent", what="the margin must not be negative", got=margin, next="pass its size"
        )
    return regions[relation]


def relation_outcome(relation: Relation, interval: Interval, margin: float) -> Outcome:
    """Judge an interval of harm, or of the candidate alone, by a relation.

    ``holds`` if the whole interval lies where the relation is true, ``broken`` if none
    of it does, ``inconclusive`` if it straddles. With one-sided limits at level L:

    ============== ======================= ============================
    relation       holds                   broken
    ============== ======================= ============================
    not_worse      upper <= margin         lower > margin
    improves       upper < 0               lower >= 0
    equivalent     both inside +-margin    lower > margin or upper < -margin
    at_least       lower >= margin         upper < margin
    at_most        upper <= margin         lower > margin
    differs        0 outside the interval  the interval is the point 0
    not_better     lower >= -margin        upper < -margin
    worsens        lower > 0               upper <= 0
    ============== ======================= ============================

    Args:
        relation: One of the eight; ``at_least`` and ``at_most`` judge the candidate alone.
        interval: Of harm (positive = worse), or of the candidate's metric.
        margin: See :func:`relation_region`.

    Raises:
        UndefinedMetricError: A number that is not finite, or a lower limit above the upper.
        UsageError: As :func:`relation_region`.

    Conventions:
        Each one-sided relation errs at 1 - L. ``differs`` uses both limits and errs
        at 2 * (1 - L).

    Source:
        Schuirmann, A comparison of the two one-sided tests procedure, 1987, for
        ``equivalent``. Departure: limits come from a bootstrap, not from t.
    """
    region = relation_region(relation, margin)
    _require_finite(estimate=interval.estimate, lower=interval.lower, upper=interval.upper)
    if interval.lower > interval.upper:
        raise UndefinedMetricError(
            where="interval",
            what="the lower limit is above the upper",
            got=f"{interval.lower} and {interval.upper}",
            next="check the order of the limits",
        )
    inside, outside = region.contains(interval), region.excludes(interval)
    if region.inverted:
        inside, outside = outside, inside
    return "holds" if inside else "broken" if outside else "inconclusive"


class Evidence(Protocol):
    """P-values of one-sided hypotheses about one number: normal, bootstrap, score or exact."""

    def p_below(self, value: float) -> float:
        """P-value of "the truth is ``value`` or more"."""
        ...

    def p_above(self, value: float) -> float:
        """P-value of "the truth is ``value`` or less"."""
        ...


def relation_p_value(relation: Relation, evidence: Evidence, margin: float) -> float:
    """P-value of the hypothesis that a relation does not hold; a small one says that it does.

    ============== ========================= ===================================
    relation       null hypothesis           test
    ============== ========================= ===================================
    not_worse      harm > margin             non-inferiority, one-sided
    improves       harm >= 0                 superiority, one-sided
    equivalent     harm outside +-margin     two one-sided, the larger p-value
    at_least       value < margin            one-sided
    at_most        value > margin            one-sided
    differs        harm = 0                  two-sided, twice the smaller p-value
    not_better     harm < -margin            one-sided
    worsens        harm <= 0                 one-sided
    ============== ========================= ===================================

    Args:
        relation: One of the eight.
        evidence: Of harm (positive = worse), or of the candidate's metric for ``at_least``
            and ``at_most``: ``NormalEvidence``, ``BootstrapEvidence`` or ``TangoEvidence``.
        margin: See :func:`relation_region`.

    Raises:
        UndefinedMetricError, UsageError: As :func:`relation_region`, and what the evidence raises.

    Conventions:
        At most 1 - L exactly where :func:`relation_outcome` says ``holds`` for the interval at
        level L that the evidence inverts to (``differs``: at most 2 * (1 - L)).

    Source:
        Schuirmann, 1987, for ``equivalent``. No departure.

    >>> from reliability.stats.evidence import NormalEvidence
    >>> round(relation_p_value("equivalent", NormalEvidence(0.001, 0.005), 0.01), 4)
    0.0359
    """
    region = relation_region(relation, margin)
    if region.inverted:
        return min(1.0, 2.0 * min(evidence.p_below(region.low), evidence.p_above(region.high)))
    # An end that belongs to the region is no part of the null hypothesis, which begins beyond it.
    beyond = 0.0 if region.open else math.inf
    tails = []
    if math.isfinite(region.high):
        tails.append(evidence.p_below(math.nextafter(region.high, beyond + region.high)))
    if math.isfinite(region.low):
        tails.append(evidence.p_above(math.nextafter(region.low, region.low - beyond)))
    return max(tails)


def _require_finite(**numbers: float) -> None:
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise UndefinedMetricError(
                where=name, what="a verdict needs finite numbers", got=value, next="see where the metric lost its value"
            )
