"""Bounds that nothing could break, such as a margin in per cent where a fraction is meant."""

from __future__ import annotations

from collections.abc import Iterable

from reliability.claims.bounds import Bound
from reliability.errors import ThresholdError
from reliability.metrics.registry import Metric, all_metrics

_OF_HARM = ("not_worse", "equivalent", "not_better")


def require_breakable(bounds: Iterable[Bound]) -> None:
    """Refuse bounds whose margin takes in all that their metric can be.

    Raises:
        ThresholdError: The first such bound is named.

    Conventions:
        Figures without a largest value, counted ones and costs are not looked at.
    """
    metrics = {metric.name: metric for metric in all_metrics()}
    for bound in bounds:
        metric = metrics.get(bound.metric)
        if metric is not None and _takes_in_all(bound, metric):
            raise ThresholdError(
                where=f"{bound.place}" + (f" (line {bound.line})" if bound.line else ""),
                what="nothing could break this bound",
                got=f"{bound.relation} with margin {bound.margin:g}, where {metric.name} lies in "
                f"{metric.low:g} to {metric.high:g}",
                next="rates and their harm are fractions: one per cent is 0.01",
            )


def _takes_in_all(bound: Bound, metric: Metric) -> bool:
    if bound.relation in _OF_HARM:
        return bound.margin >= metric.high - metric.low
    limits = {"at_least": bound.margin <= metric.low, "at_most": bound.margin >= metric.high}
    return limits.get(bound.relation, False)
