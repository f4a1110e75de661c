"""The tables of a report, as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from reliability.claims.records import CaseResult
from reliability.report.cells import Cells
from reliability.report.escape import escape, unbroken
from reliability.report.headline import Tally, worst_first

_OUTCOMES = ("holds", "broken", "inconclusive", "error")


def verdict_table(results: Sequence[CaseResult]) -> str:
    """One row per case, worst first."""
    header = ["claim", "recipe", "task", "metric", "reference", "candidate", "harm [limits]", "allowed", "verdict"]
    rows = [_verdict_row(result) for result in worst_first(results)]
    return markdown_table(header, rows, numbers=range(4, 8))


def candidate_table(tallies: Mapping[tuple[str, str], Tally], conclusive: bool, lenient: bool = False) -> str:
    """One row per model and recipe: how its gates ended.

    Args:
        tallies: By model and recipe.
        conclusive: Whether the run is whole, so that gates that hold are a ground to ship.
        lenient: Whether inconclusive gates stop nothing.
    """
    header = ["model", "recipe", "gates", *_OUTCOMES, "observed", "result"]
    rows = [
        [
            escape(model),
            escape(recipe),
            str(tally.gates.total()),
            *(str(tally.gates[outcome]) for outcome in _OUTCOMES),
            str(tally.observed.total()),
            _result(tally, conclusive, lenient),
        ]
        for (model, recipe), tally in tallies.items()
    ]
    return markdown_table(header, rows, numbers=range(2, 8))


def settings_table(run: Mapping[str, Any]) -> str:
    """Two columns, as :func:`settings_rows` has them."""
    return markdown_table(["setting", "value"], [[escape(name), escape(value)] for name, value in settings_rows(run)])


def settings_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value as plain text; a nested setting gets a row per key, anything deeper is put in one cell."""
    rows = []
    for name, value in run.items():
        nested = value.items() if isinstance(value, Mapping) and value else [("", value)]
        rows += [(f"{name}: {key}" if key else name, _flat(item)) for key, item in nested]
    return rows


def glossary_table(words: Sequence[tuple[str, str]]) -> str:
    """Two columns: word and meaning."""
    return markdown_table(["word", "meaning"], [[escape(word), escape(meaning)] for word, meaning in words])


def _verdict_row(result: CaseResult) -> list[str]:
    cells = Cells.of(result)
    figures = [cells.reference, cells.candidate, cells.harm, cells.allowed]
    names = [result.bound.claim, result.recipe, result.task, cells.figure]
    outcome = result.outcome if result.outcome == "holds" else f"**{result.outcome}**"
    return [*(escape(name) for name in names), *(unbroken(figure) for figure in figures), outcome]


def _result(tally: Tally, conclusive: bool, lenient: bool) -> str:
    if tally.stops() and lenient and tally.only_undecided():
        return "no verdict"
    if tally.stops():
        return "**stopped**"
    if not tally.gates:
        return "not gated"
    return "all gates hold" if conclusive else "no verdict"


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return "not set" if value is None else str(value)


def markdown_table(header: list[str], rows: list[list[str]], numbers: range = range(0)) -> str:
    """A table of cells that are escaped already; columns of numbers are aligned to the right."""
    align = ["right" if column in numbers else "left" for column in range(len(header))]
    if not rows:
        return "None."
    table: str = tabulate(rows, header, tablefmt="github", disable_numparse=True, colalign=align)
    return table
