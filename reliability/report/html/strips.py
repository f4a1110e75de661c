"""Intervals beside what is allowed, drawn row by row: together the rows of a table make a forest plot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reliability.claims.judge import Verdict
from reliability.report.forest import forbidden

WIDTH_PX, HEIGHT_PX = 132, 18
REACH = 2.0
"""Margins from zero to either end; what lies beyond is marked by an arrow."""


@dataclass(frozen=True)
class Strip:
    """One interval of harm in units of its margin, in pixels from the left; positive harm is to the right.

    Attributes:
        zero: No harm.
        low, mid, high: The interval, cut at the ends.
        shades: Left and right of what is not allowed.
        edges: Where what is allowed ends.
        beyond: Whether the interval leaves to the left, and to the right.
        used: How much of the margin the limit that decides takes up; None where there is no margin.
    """

    zero: float
    low: float
    mid: float
    high: float
    shades: tuple[tuple[float, float], ...]
    edges: tuple[float, ...]
    beyond: tuple[bool, bool]
    used: float | None


def strip(verdict: Verdict) -> Strip | None:
    """The interval that was judged; None where the bound has no scale to draw it on."""
    scaled = _scaled(verdict)
    if scaled is None:
        return None
    (low, mid, high), spans = scaled
    edges = [edge for span in spans for edge in span if math.isfinite(edge)]
    return Strip(
        zero=_pixel(0.0),
        low=_pixel(low),
        mid=_pixel(mid),
        high=_pixel(high),
        shades=tuple((_pixel(start), _pixel(end)) for start, end in spans),
        edges=tuple(_pixel(edge) for edge in edges),
        beyond=(low < -REACH, high > REACH),
        used=_used(low, high, edges),
    )


def _scaled(verdict: Verdict) -> tuple[tuple[float, float, float], tuple[tuple[float, float], ...]] | None:
    """Limits and estimate in margins, and what is not allowed in the same unit."""
    bound, got = verdict.bound, verdict.comparison
    if verdict.judged is got.candidate:
        return _on_candidate(verdict)
    harm = got.harm
    # Without a margin the interval itself is the scale: what matters is on which side of zero it lies.
    unit = bound.margin or max(abs(harm.lower), abs(harm.upper)) / (0.75 * REACH)
    if unit <= 0.0:
        return None
    spans = forbidden(bound.relation, bound.margin / unit)
    return (harm.lower / unit, harm.estimate / unit, harm.upper / unit), spans


def _on_candidate(verdict: Verdict) -> tuple[tuple[float, float, float], tuple[tuple[float, float], ...]] | None:
    """As harm from the reference's own value to the limit, where the reference keeps to that."""
    bound, got = verdict.bound, verdict.comparison
    room = bound.margin - got.reference.estimate
    keeps_to_it = room < 0.0 if bound.relation == "at_least" else room > 0.0
    if not keeps_to_it:
        return None
    judged = got.candidate
    ends = sorted((value - got.reference.estimate) / room for value in (judged.lower, judged.upper))
    return (ends[0], (judged.estimate - got.reference.estimate) / room, ends[1]), ((1.0, math.inf),)


def _used(low: float, high: float, edges: list[float]) -> float | None:
    shares = [max((low if edge < 0.0 else high) / edge, 0.0) for edge in edges if edge != 0.0]
    return max(shares, default=None)


def _pixel(margins: float) -> float:
    inside = min(max(margins, -REACH), REACH)
    return round((inside + REACH) / (2.0 * REACH) * WIDTH_PX, 1)
