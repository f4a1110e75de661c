"""Records that cannot be of one run, though each of them is sound."""

from __future__ import annotations

from collections.abc import Iterable

from reliability.claims.records import CaseResult
from reliability.evaluate.running.efficiency import COSTS

_AGAINST = ", against "
"""In the method of a comparison with something else than the FP32 model."""


def contradictions(results: Iterable[CaseResult]) -> list[str]:
    """Cases in which one reference has two values of one figure on one task.

    A run measures each reference once. Two values come of another run's records, or of
    a candidate that stands where the reference should.

    Conventions:
        Times are left out, which no two measurements share.
    """
    first: dict[tuple[str, ...], CaseResult] = {}
    found = []
    for result in results:
        if result.verdict is None or result.bound.metric in COSTS or _AGAINST in result.verdict.comparison.method:
            continue
        other = first.setdefault((result.model, result.task, result.bound.metric, result.bound.score), result)
        values = [one.verdict.comparison.reference.estimate for one in (other, result) if one.verdict is not None]
        if values[0] != values[-1]:
            found.append(f"{other.case} and {result.case} state different values of one reference: {values}")
    return found
