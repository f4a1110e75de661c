"""Propose margins from what was measured over several range-setting draws.

A margin must leave room for what it cannot know: other pictures and another draw.
So it is the largest limit of harm that any draw showed, times a stated factor, and
never less than the smallest effect that so many pictures can show, below which
equal models would end as inconclusive.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from reliability.claims.bounds import Bound, Proposed
from reliability.claims.breakable import require_breakable
from reliability.claims.judge import POWER, Verdict
from reliability.claims.keys import ON_CANDIDATE, WITHOUT_MARGIN
from reliability.claims.wording import inert, telling_digits
from reliability.errors import ThresholdError

Action = Literal["set", "tightened", "loosened", "kept", "not measured"]

_EXACT_DECIMALS = 6
_EARLIER = re.compile(r";? ?(?:tightened|loosened) from \S+ to \S+: .*", re.DOTALL)


@dataclass(frozen=True)
class Measured:
    """One case under one draw.

    Attributes:
        case: Its name, in which the recipe names the draw.
        draw: Of range-setting pictures; None for a candidate that draws nothing.
        verdict: By the bound as it stands; None where nothing could be measured.
        error: Why not.
    """

    case: str
    draw: int | None
    verdict: Verdict | None
    error: str = ""


@dataclass(frozen=True)
class Terms:
    """What a proposal is made by.

    Attributes:
        basis: What was measured on what, and the factor, at least 1.
        loosen: Why a bound may be loosened; empty where none may.
        fresh: Whether no margin is anybody's yet, so that any may be set.
    """

    basis: Proposed
    loosen: str = ""
    fresh: bool = False


@dataclass(frozen=True)
class Proposal:
    """What becomes of one ``[[bound]]`` of a file.

    Attributes:
        bound: As it stands; of an entry that lists several metrics, the first.
        margin: In TOML; None where it stays as it is.
        reason: Likewise.
        measured: In words, for comments above the margin.
        worst: The figure that decided.
    """

    bound: Bound
    action: Action
    margin: str | None
    reason: str | None
    measured: tuple[str, ...]
    worst: Measured | None = None


@dataclass(frozen=True)
class _Need:
    """The margin that one figure asks for, and how it follows."""

    margin: Decimal
    found: Measured
    how: str


def propose(bound: Bound, figures: Sequence[Measured], terms: Terms) -> Proposal:
    """What the figures of all its cases and draws make of a bound.

    Args:
        bound: As it stands.
        figures: Of every case that it judges, under every draw.
        terms: Factor, data, and whether it may be loosened.

    Conventions:
        Margins have two significant digits, rounded to the looser side; those of
        ``at_least`` and ``at_most`` start from the reference's value, and their distance
        from it has two. A relation without a margin keeps none. Nothing is proposed for a bound
        of which a figure could not be had, nor a margin that nothing could break.
    """
    faults = [found for found in figures if found.verdict is None]
    if faults or not figures:
        why = f"{inert(faults[0].case)}: {_first_line(faults[0].error)}" if faults else "these data have no case of it"
        return Proposal(bound, "not measured", None, None, (f"not measured: {why}",))
    measured = _in_words(bound, figures, terms)
    if bound.relation in WITHOUT_MARGIN:
        return Proposal(bound, "kept", None, None, ("kept: this relation has no margin", *measured))
    need = _loosest([_need(found, terms.basis.factor) for found in figures], bound)
    if not _breakable(bound, need):
        why = f"not measured: {need.how} = {_text(need.margin)}, and nothing could break such a bound"
        return Proposal(bound, "not measured", None, None, (why, *measured), need.found)
    action = _action(bound, need, terms)
    words = (_headline(action, bound, need, figures), *measured, f"{need.how} = {_text(need.margin)}")
    if action == "kept":
        return Proposal(bound, action, None, None, words, need.found)
    return Proposal(bound, action, _text(need.margin), _reason(action, bound, need, terms), words, need.found)


def _need(found: Measured, factor: float) -> _Need:
    """The margin at which this figure would hold with room to spare."""
    verdict = found.verdict
    assert verdict is not None
    relation, got = verdict.bound.relation, verdict.comparison
    start, sign = (got.reference.estimate, _side(verdict.bound)) if relation in ON_CANDIDATE else (0.0, 1)
    far = _far(verdict)
    distance = sign * (far - start)
    effect = verdict.smallest_effect
    if distance < 0 and relation in ON_CANDIDATE:
        # Better than the reference: what it reached is the place to start from.
        start, room, how = far, effect, f"{_short(far)} and the smallest effect that {got.n:,} pictures show"
    elif factor * distance >= effect:
        room, how = factor * distance, f"{factor:g} x {_short(distance)}"
        how = f"{_short(start)} {'+' if sign > 0 else '-'} {how}" if start else how
    else:
        room, how = effect, f"the smallest effect that {got.n:,} pictures show with power {POWER:g}"
    return _Need(_rounded(start + sign * room, room, sign), found, how)


def _far(verdict: Verdict) -> float:
    """The limit that lies nearest to breaking the bound, or beyond."""
    judged = verdict.judged
    return {
        "not_better": -judged.lower,
        "at_least": judged.lower,
        "equivalent": max(abs(judged.lower), abs(judged.upper)),
    }.get(verdict.bound.relation, judged.upper)


def _side(bound: Bound) -> int:
    """1 where a larger margin allows more, -1 where it allows less."""
    return -1 if bound.relation == "at_least" else 1


def _loosest(needs: Sequence[_Need], bound: Bound) -> _Need:
    return max(needs, key=lambda need: _side(bound) * need.margin)


def _rounded(value: float, room: float, sign: int) -> Decimal:
    """To two significant digits of the room, away from breaking; of no room, to as many as tell exact figures apart."""
    decimals = 1 - math.floor(math.log10(room)) if room > 0 else _EXACT_DECIMALS
    # Twelve digits undo what float arithmetic adds to a decimal number, which rounding up would make a step of.
    exact = Decimal(f"{value:.12g}")
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING if sign > 0 else ROUND_FLOOR)
    return rounded if room > 0 else rounded.normalize()


def _breakable(bound: Bound, need: _Need) -> bool:
    try:
        require_breakable([replace(bound, margin=float(need.margin))])
    except ThresholdError:
        return False
    return True


def _action(bound: Bound, need: _Need, terms: Terms) -> Action:
    if terms.fresh:
        return "set"
    change = _side(bound) * (need.margin - Decimal(repr(bound.margin)))
    if change == 0:
        return "kept"
    return "tightened" if change < 0 else "loosened" if terms.loosen else "kept"


def _headline(action: Action, bound: Bound, need: _Need, figures: Sequence[Measured]) -> str:
    held = sum(bool(found.verdict) for found in figures)
    noun, verb = ("figure", "holds") if len(figures) == 1 else ("figures", "hold")
    now = f"{held} of {len(figures)} {noun} {verb} at {bound.margin:g}"
    if action == "kept":
        same = need.margin == Decimal(repr(bound.margin))
        return f"kept: {now}" if same else f"kept, since {_text(need.margin)} would loosen it: {now}"
    return f"{action} from {bound.margin:g}: {now}" if action != "set" else f"set from {len(figures)} {noun}"


def _reason(action: Action, bound: Bound, need: _Need, terms: Terms) -> str:
    """Why the margin is what it is; of an earlier change nothing is left but its result."""
    before = _EARLIER.sub("", bound.reason)
    how = f"{need.how} over range-setting draws on {terms.basis.data}"
    if action == "set":
        return f"proposed: {how}"
    why = terms.loosen if action == "loosened" else how
    return f"{before}; {action} from {bound.margin:g} to {_text(need.margin)}: {why}".removeprefix("; ")


def _in_words(bound: Bound, figures: Sequence[Measured], terms: Terms) -> tuple[str, ...]:
    verdicts = [found.verdict for found in figures if found.verdict is not None]
    estimates = sorted(verdict.judged.estimate for verdict in verdicts)
    worst = max(figures, key=lambda found: _side(bound) * _far(found.verdict) if found.verdict else 0.0)
    assert worst.verdict is not None
    what = "candidate" if bound.relation in ON_CANDIDATE else "harm"
    digits = telling_digits((estimates[0], estimates[-1], _far(worst.verdict)))
    draws = len({found.draw for found in figures} - {None}) or 1
    counts = sorted(verdict.comparison.n for verdict in verdicts)
    pictures = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return (
        f"{what} {estimates[0]:.{digits}f} to {estimates[-1]:.{digits}f} over {draws} draw{'s' * (draws != 1)} "
        f"on {inert(terms.basis.data)}, {pictures} pictures",
        f"furthest limit {_far(worst.verdict):.{digits}f}: {inert(worst.case)}",
    )


def _text(margin: Decimal) -> str:
    return f"{margin + 0:f}"


def _short(value: float) -> str:
    return f"{value:.4g}"


def _first_line(error: str) -> str:
    return inert(error.strip().partition("\n")[0])
