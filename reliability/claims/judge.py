"""Hold a comparison against a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reliability.claims.bounds import Bound, Floor
from reliability.claims.wording import allowed, basis, figure_name, fixed, limits, roughly, telling_digits
from reliability.errors import ModelError, UndefinedMetricError
from reliability.stats.noninferiority import relation_outcome
from reliability.stats.power import settling_n, smallest_detectable_effect
from reliability.types import Comparison, Interval, Outcome, Relation

POWER = 0.8

# Sums over thousands of float64 terms taken in another order differ by less than this.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """What a comparison says about a bound; true only when the bound holds.

    Attributes:
        outcome: ``holds``, ``broken`` or ``inconclusive``.
        bound, comparison: What was judged, by what.
        settles_at_n: Images that would settle an inconclusive verdict if the estimate
            stayed; None when it is settled or no number would do.
        smallest_effect: Smallest effect this many images show with power 0.8.
        case: Readable id of the case, or empty.
    """

    outcome: Outcome
    bound: Bound
    comparison: Comparison
    settles_at_n: int | None
    smallest_effect: float
    case: str = ""

    def __bool__(self) -> bool:
        return self.outcome == "holds"

    @property
    def judged(self) -> Interval:
        """The interval the bound speaks about: of the candidate for ``at_least`` and ``at_most``, else of the harm."""
        return judged_interval(self.bound.relation, self.comparison)

    def explain(self) -> str:
        """Several lines for a terminal: figures, limits, what was allowed and what to do next."""
        bound, got, interval = self.bound, self.comparison, self.judged
        digits = telling_digits((interval.lower, interval.upper, bound.margin))

        def show(value: float) -> str:
            return fixed(value, digits)

        figure = figure_name(got.metric, got.score)
        width = max(len(figure), len("allowed"))
        what, images = "candidate" if interval is got.candidate else "harm", f"{got.n:,} images, paired"
        lines = [
            f"{self.outcome}: {self.case or bound.claim}",
            f"  {figure:{width}}  {what} {show(interval.estimate)}   {limits(interval, show)}   {images}",
            f"  {'allowed':{width}}  {allowed(bound.relation, bound.margin, show)}   {bound.place}: {bound.reason}",
            f"  reference {show(got.reference.estimate)}, candidate {show(got.candidate.estimate)}, {basis(got)}",
        ]
        if self.outcome == "inconclusive":
            lines += [f"  {line}" for line in self._undecided(show(self.smallest_effect))]
        return "\n".join(lines + ([f'  next: reliability explain "{self.case}"'] if self.case else []))

    def _undecided(self, effect: str) -> list[str]:
        settles = (
            f"about {roughly(self.settles_at_n)} images would settle it, if the estimate stays"
            if self.settles_at_n
            else "no number of images would settle it: the estimate lies on the limit"
        )
        return [
            f"inconclusive: {settles}",
            f"{self.comparison.n:,} images show an effect of {effect} with power {POWER:g}",
        ]


def judge(bound: Bound, comparison: Comparison, case: str = "") -> Verdict:
    """Hold a comparison against a bound; ``case`` is the readable id that the explanation names.

    Raises:
        UndefinedMetricError: The comparison is about another figure or level than the bound,
            has too few images, a figure that is not finite, limits that contradict their
            estimate, or a harm that is not the difference of its two models. None of
            these is ever a verdict.

    Conventions:
        A limit that lies exactly on the margin counts as inside it.
    """
    _check_same_question(bound, comparison)
    relation, interval = bound.relation, judged_interval(bound.relation, comparison)
    _check_defined(comparison, interval, bound.place)
    outcome = relation_outcome(relation, interval, bound.margin)
    return Verdict(
        outcome=outcome,
        bound=bound,
        comparison=comparison,
        settles_at_n=settling_n(relation, interval, bound.margin, comparison.n) if outcome == "inconclusive" else None,
        smallest_effect=smallest_detectable_effect(interval.standard_error, bound.level, POWER),
        case=case,
    )


def judged_interval(relation: Relation, comparison: Comparison) -> Interval:
    """The interval that a relation is about."""
    return comparison.candidate if relation in ("at_least", "at_most") else comparison.harm


def check_floor(floor: Floor, value: float, n: int) -> None:
    """Refuse a reference that misses its own floor: it would be an easy target.

    Args:
        floor: What the reference must reach.
        value: What it reached on ``n`` images.

    Raises:
        UndefinedMetricError: The value is not finite, or rests on too few images.
        ModelError: The reference misses the floor.
    """
    figure = figure_name(floor.metric, floor.score)
    _check_enough(n, floor.min_images, f"reference, {figure}, {floor.place}")
    if not math.isfinite(value):
        raise _undefined(f"reference, {figure}, {floor.place}", "the figure is not finite", value)
    reached = value >= floor.limit if floor.relation == "at_least" else value <= floor.limit
    if reached:
        return
    digits = telling_digits((value, floor.limit))
    raise ModelError(
        where=f"{floor.place} ({floor.reason})",
        what="the reference model misses its own floor, so nothing is held against it",
        got=f"{figure} {fixed(value, digits)} on {n:,} images, "
        f"must be {floor.relation.replace('_', ' ')} {fixed(floor.limit, digits)}",
        next="check that weights, preprocessing, prompts and data belong together; do not lower the floor to pass",
    )


def _check_same_question(bound: Bound, comparison: Comparison) -> None:
    asked, answered = (bound.metric, bound.score), (comparison.metric, comparison.score)
    if asked != answered:
        raise _undefined(bound.place, f"the bound is about {figure_name(*asked)}", figure_name(*answered))
    interval = judged_interval(bound.relation, comparison)
    if not math.isclose(interval.level, bound.level, abs_tol=_ROUNDING):
        raise _undefined(bound.place, f"the bound asks for limits at level {bound.level:g}", f"{interval.level:g}")
    _check_enough(comparison.n, bound.min_images, f"{figure_name(*answered)}, {bound.place}")


def _check_enough(n: int, least: int, where: str) -> None:
    if n < least:
        raise UndefinedMetricError(
            where=where,
            what="too few images for a verdict",
            got=f"{n:,} images, min_images is {least:,}",
            next="give more images (is --limit set?), or change min_images in the threshold file with a reason",
        )


def _check_defined(comparison: Comparison, judged: Interval, place: str) -> None:
    figure = figure_name(comparison.metric, comparison.score)
    for name in ("reference", "candidate", "harm"):
        _check_interval(getattr(comparison, name), f"{name}, {figure}, {place}")
    # Only of the interval that is judged: percentile limits of a biased metric, such as the
    # calibration error of a well-calibrated model, may miss the estimate of one model alone.
    if not judged.lower - _ROUNDING <= judged.estimate <= judged.upper + _ROUNDING:
        raise _undefined(f"{figure}, {place}", "the estimate lies outside its own limits", judged)
    difference = abs(comparison.candidate.estimate - comparison.reference.estimate)
    if not math.isclose(abs(comparison.harm.estimate), difference, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
        raise _undefined(
            f"harm, {figure}, {place}",
            "the harm is not the difference of the two models",
            f"harm {comparison.harm.estimate}, difference {difference}",
        )


def _check_interval(interval: Interval, where: str) -> None:
    for name in ("estimate", "lower", "upper", "standard_error"):
        value = getattr(interval, name)
        if not math.isfinite(value):
            raise _undefined(where, f"the {name.replace('_', ' ')} is not finite", value)
    if interval.lower > interval.upper or interval.standard_error < 0:
        raise _undefined(where, "the limits are in the wrong order or the standard error is negative", interval)


def _undefined(where: str, what: str, got: object) -> UndefinedMetricError:
    return UndefinedMetricError(
        where=where, what=what, got=got, next="look at the scores behind it; an undefined figure is never a verdict"
    )
