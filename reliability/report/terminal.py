"""The end of a pytest run: a few plain lines."""

from __future__ import annotations

from tabulate import tabulate

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord
from reliability.report.cells import Cells
from reliability.report.headline import candidates, headline, stopping

MOST_ROWS = 12


def summary_lines(run: RunRecord) -> list[str]:
    """The headline, one row per candidate, and the cases that stop the run, worst first."""
    results = run.results()
    stops = stopping(results)
    rows = [
        [model, recipe, *(t.gates[o] for o in ("holds", "broken", "inconclusive", "error")), t.observed.total()]
        for (model, recipe), t in candidates(results).items()
    ]
    header = ["model", "recipe", "holds", "broken", "inconclusive", "error", "observed"]
    partial = [] if run.complete else ["partial run: not everything the threshold file asks for was judged"]
    lines = [headline(run, results), *partial, *(f"problem: {problem}" for problem in run.problems)]
    lines += ["", *tabulate(rows, header, tablefmt="simple").splitlines()] if rows else []
    if stops:
        table = [[r.outcome, r.case, *_figures(r)] for r in stops[:MOST_ROWS]]
        lines += ["", *tabulate(table, tablefmt="plain", disable_numparse=True).splitlines()]
    if len(stops) > MOST_ROWS:
        lines.append(f"and {len(stops) - MOST_ROWS} more, in the report")
    return lines


def _figures(result: CaseResult) -> tuple[str, str]:
    if result.error is not None:
        return result.error.partition("\n")[0], ""
    cells = Cells.of(result)
    return f"harm {cells.harm}", f"allowed {cells.allowed}"
