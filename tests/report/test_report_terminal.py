"""The last lines of a run: short, plain, and no softer than the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reliability.claims.runs import RunRecord
from reliability.report.terminal import MOST_ROWS, summary_lines

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


def test_a_run_that_holds_is_short(make_case: MakeCase, make_run: MakeRun) -> None:
    lines = summary_lines(make_run(make_case(), make_case(task="x")))
    assert lines[0] == "All 2 gates hold."
    assert lines[-1].split() == ["zoo:scenes-clean", "w8a8-minmax", "2", "0", "0", "0", "0"]
    assert len(lines) == 5


def test_what_stops_is_named_with_its_figures(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = (make_case(0.0172, 0.0034), make_case(task="ood/far", error="one class only\n  where: labels"))
    lines = summary_lines(make_run(*cases, complete=False, problems=["a worker died"]))
    text = "\n".join(lines)
    assert lines[0].startswith("Stopped: 1 of 2 gates is broken, 1 ended in an error")
    assert lines[1].startswith("partial run")
    assert "problem: a worker died" in lines
    assert "broken  accuracy[scenes-clean-w8a8-minmax-id-top1]" in text
    assert "harm +1.72 pp [+1.38, +2.06]  allowed ≤ 1.00 pp" in text
    assert "one class only" in text
    assert "where: labels" not in text


def test_a_long_list_is_cut_and_says_so(make_case: MakeCase, make_run: MakeRun) -> None:
    lines = summary_lines(make_run(*(make_case(0.5, task=f"t{i:02}") for i in range(MOST_ROWS + 3))))
    assert lines[-1] == "and 3 more, in the report"
    assert sum(line.startswith("broken") for line in lines) == MOST_ROWS


def test_a_run_without_cases_is_no_pass(make_run: MakeRun) -> None:
    assert summary_lines(make_run()) == ["No verdict: no gate was judged."]
