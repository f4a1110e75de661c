"""One judged case as short texts, in the unit of its metric: for tables, sentences and figures."""

from __future__ import annotations

from dataclasses import dataclass

from reliability.claims.judge import POWER, Verdict
from reliability.claims.records import CaseResult
from reliability.claims.wording import allowed, basis, figure_name, limits, roughly, telling_digits
from reliability.report.words import Unit, unit_of
from reliability.types import Interval

ABSENT = "\N{EM DASH}"


@dataclass(frozen=True)
class Cells:
    """Texts of one case; each is a dash where an error left no figure.

    Attributes:
        figure: The metric, and the score where there is one.
        reference, candidate: Values; the candidate has its limits where they are what is judged.
        change: Harm with sign and unit.
        harm: The same with its limits.
        allowed: What the bound allows.
    """

    figure: str
    reference: str
    candidate: str
    change: str
    harm: str
    allowed: str

    @classmethod
    def of(cls, result: CaseResult) -> Cells:
        """The texts of one case."""
        bound, unit = result.bound, unit_of(result.bound.metric)
        figure = figure_name(bound.metric, bound.score)
        if result.verdict is None:
            return cls(figure, ABSENT, ABSENT, ABSENT, ABSENT, short_allowed(result, unit.digits))
        got, digits = result.verdict.comparison, digits_of(result.verdict)
        candidate = unit.value(got.candidate.estimate, digits)
        if result.verdict.judged is got.candidate:
            candidate += f" {_bracket(got.candidate, unit, digits)}"
        change = signed(unit.harm(got.harm.estimate, digits))
        return cls(
            figure,
            unit.value(got.reference.estimate, digits),
            candidate,
            change,
            f"{change} {_bracket(got.harm, unit, digits, signs=True)}",
            short_allowed(result, digits),
        )


def digits_of(verdict: Verdict) -> int:
    """Decimals at which the judged limits and the margin can be told apart."""
    unit, interval = unit_of(verdict.bound.metric), verdict.judged
    values = (interval.lower, interval.upper, verdict.bound.margin)
    return telling_digits((unit.factor * value for value in values), least=unit.digits)


def signed(text: str) -> str:
    """With a plus sign unless there is a minus."""
    return text if text.startswith("-") else f"+{text}"


def short_allowed(result: CaseResult, digits: int) -> str:
    """What the bound allows, in signs: ``<= 1.00 pp``."""
    bound, unit = result.bound, unit_of(result.bound.metric)
    harm, value = unit.harm(bound.margin, digits), unit.value(bound.margin, digits)
    return {
        "not_worse": f"≤ {harm}",
        "improves": "< 0",
        "equivalent": f"± {harm}",
        "at_least": f"candidate ≥ {value}",
        "at_most": f"candidate ≤ {value}",
        "differs": "≠ 0",
        "not_better": f"≥ -{harm}",
        "worsens": "> 0",
    }[bound.relation]


def sentence(result: CaseResult) -> str:
    """What was measured and what was allowed; for an inconclusive case also what would settle it."""
    verdict = result.verdict
    if verdict is None:
        return ""
    got, unit, digits = verdict.comparison, unit_of(result.bound.metric), digits_of(verdict)
    on_candidate = verdict.judged is got.candidate

    def show(value: float) -> str:
        return unit.value(value, digits) if on_candidate else unit.harm(value, digits)

    values = (
        f"{figure_name(got.metric, got.score)}: reference {unit.value(got.reference.estimate, digits)}, "
        f"candidate {unit.value(got.candidate.estimate, digits)}"
    )
    harm = "" if on_candidate else f", harm {signed(show(got.harm.estimate))}"
    bound = allowed(result.bound.relation, result.bound.margin, show)
    images = f"{got.n:,} images, paired, {basis(got)}"
    text = f"{values}{harm} ({limits(verdict.judged, show)}), allowed is {bound}; {images}."
    return (
        f"{text} {_what_settles(verdict, unit.harm(verdict.smallest_effect, digits))}"
        if verdict.outcome == "inconclusive"
        else text
    )


def _what_settles(verdict: Verdict, effect: str) -> str:
    seen = f"These images show an effect of {effect} with power {POWER:g}"
    if verdict.settles_at_n is None:
        return f"{seen}; the estimate lies on the limit, so no number would settle it."
    return f"{seen}; about {roughly(verdict.settles_at_n)} would settle it, if the estimate stays."


def _bracket(interval: Interval, unit: Unit, digits: int, signs: bool = False) -> str:
    low, high = (unit.number(value, digits) for value in (interval.lower, interval.upper))
    return f"[{signed(low)}, {signed(high)}]" if signs else f"[{low}, {high}]"
