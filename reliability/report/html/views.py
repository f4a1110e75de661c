"""What the page's template is given: plain records of text, which the template escapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reliability.claims.records import CaseResult
from reliability.claims.wording import basis
from reliability.report.cells import Cells, sentence
from reliability.report.headline import WORST_FIRST, Tally, candidates, worst_first
from reliability.report.html.strips import Strip, strip

SYMBOLS = {"holds": "✓", "broken": "✕", "inconclusive": "≈", "error": "!"}
"""Beside colour and word, so that none of the three is needed."""


@dataclass(frozen=True)
class CaseView:
    """One row of the table of cases, and what it opens to.

    Attributes:
        anchor: Unique on the page.
        result: What the row is about.
        cells: Its figures as text.
        strip: Its interval, where it has one to draw.
        limits: The harm's limits alone.
        sentence: What was measured and allowed, or why there is no figure.
        basis: How the limits came about.
        groups: Name, reference and candidate of each group that the figure is made of.
    """

    anchor: str
    result: CaseResult
    cells: Cells
    strip: Strip | None
    limits: str
    sentence: str
    basis: str
    groups: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, number: int, result: CaseResult) -> CaseView:
        """The view of one case."""
        cells, verdict = Cells.of(result), result.verdict
        return cls(
            anchor=f"case-{number}",
            result=result,
            cells=cells,
            strip=strip(verdict) if verdict is not None else None,
            limits=cells.harm.removeprefix(cells.change).strip(),
            sentence=result.error or sentence(result),
            basis=f"{verdict.comparison.n:,} images, {basis(verdict.comparison)}" if verdict is not None else "",
            groups=_groups(result),
        )

    @property
    def sort_keys(self) -> Mapping[str, float | str]:
        """Column to what it sorts by; a missing figure comes after all others."""
        missing = float("inf")
        verdict = self.result.verdict
        got = verdict.comparison if verdict is not None else None
        used = self.strip.used if self.strip is not None else None
        return {
            "verdict": WORST_FIRST.index(self.result.outcome),
            "reference": got.reference.estimate if got is not None else missing,
            "candidate": got.candidate.estimate if got is not None else missing,
            "harm": got.harm.estimate if got is not None else missing,
            "used": missing if used is None else round(used, 4),
        }


def case_views(results: Sequence[CaseResult]) -> list[CaseView]:
    """The rows, worst first."""
    return [CaseView.of(number, result) for number, result in enumerate(worst_first(results), start=1)]


def _groups(result: CaseResult) -> tuple[tuple[str, str, str], ...]:
    stored = result.verdict.comparison.details.get("groups", {}) if result.verdict is not None else {}
    return tuple(
        (name, *(f"{100 * sides[s]:.2f} %" for s in ("reference", "candidate"))) for name, sides in stored.items()
    )


@dataclass(frozen=True)
class MatrixCell:
    """How the cases of one claim ended for one candidate.

    Attributes:
        outcome: The worst.
        text: How many of how many ended so.
        model, recipe: The candidate.
        gated: Whether any of them can stop a run.
    """

    outcome: str
    text: str
    model: str
    recipe: str
    gated: bool


@dataclass(frozen=True)
class Matrix:
    """Claims down, candidates across.

    Attributes:
        columns: Model and recipe.
        rows: A claim and its cells, None where it was not judged.
        several_models: Whether columns need the model's name.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[MatrixCell | None, ...]], ...]

    @property
    def several_models(self) -> bool:
        """Whether a column needs its model's name."""
        return len({model for model, _ in self.columns}) > 1


def matrix(results: Sequence[CaseResult]) -> Matrix:
    """Every claim on every candidate; claims with gates first."""
    columns = tuple(candidates(results))
    by_claim: dict[str, list[CaseResult]] = {}
    for result in sorted(results, key=lambda result: not result.bound.gate):
        by_claim.setdefault(result.bound.claim, []).append(result)
    rows = tuple((claim, tuple(_cell(cases, *column) for column in columns)) for claim, cases in by_claim.items())
    return Matrix(columns, rows)


def _cell(cases: Sequence[CaseResult], model: str, recipe: str) -> MatrixCell | None:
    own = worst_first([case for case in cases if (case.model, case.recipe) == (model, recipe)])
    if not own:
        return None
    worst = own[0].outcome
    count = sum(case.outcome == worst for case in own)
    word = "hold" if worst == "holds" and count > 1 else worst
    text = f"{count} {word}" if count == len(own) else f"{count} of {len(own)} {word}"
    return MatrixCell(worst, text, model, recipe, any(case.bound.gate for case in own))


def overall(results: Sequence[CaseResult], conclusive: bool) -> str:
    """The outcome that the page's head is coloured by: of the whole run where it may be told."""
    worst = worst_gate(Tally.of(results))
    return worst if worst != "holds" or conclusive else "inconclusive"


def worst_gate(tally: Tally) -> str:
    """The outcome that decides about some cases; an observed error does too, and no gate decides nothing."""
    if tally.observed["error"] and not tally.gates["broken"]:
        return "error"
    return next((outcome for outcome in WORST_FIRST if tally.gates[outcome]), "inconclusive")
