"""Two runs beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reliability.claims.runs import RunRecord, write_json
from reliability.cli import main
from reliability.report.diff import compare_runs, diff_lines, worsened

Make = Callable[..., Any]


def names(results: Any) -> list[str]:
    return [result.case for result in results]


def test_a_run_beside_itself_has_no_difference(make_case: Make, make_run: Make) -> None:
    run = make_run(make_case(), make_case(task="ood/near"))
    found = compare_runs(run, run)
    assert (found.changed, found.moved, found.gone, found.new, found.same, found.settings) == ((), (), (), (), 2, ())
    assert (found.rebound, found.partial) == ((), ())
    assert not worsened(found)
    assert diff_lines(found) == ["0 verdicts changed, 0 figures moved, 2 cases as before, 0 new, 0 gone"]


def test_changed_moved_new_and_gone_cases_are_told_apart(make_case: Make, make_run: Make) -> None:
    before = make_run(make_case(), make_case(task="a"), make_case(task="b"), make_case(task="gone"))
    after = make_run(
        make_case(harm=0.05), make_case(0.004, task="a"), make_case(0.0021, task="b"), make_case(task="new")
    )
    found = compare_runs(before, after)
    assert [(b.outcome, a.outcome) for b, a in found.changed] == [("holds", "broken")]
    assert names(b for b, _ in found.moved) == ["accuracy[scenes-clean-w8a8-minmax-a-top1]"]
    assert found.same == 1
    assert names(found.gone) == ["accuracy[scenes-clean-w8a8-minmax-gone-top1]"]
    assert names(found.new) == ["accuracy[scenes-clean-w8a8-minmax-new-top1]"]
    assert worsened(found)
    assert not worsened(compare_runs(after, before))


def test_what_got_worse_stands_first(make_case: Make, make_run: Make) -> None:
    before = make_run(make_case(0.05), make_case(task="b"))
    after = make_run(make_case(), make_case(task="b", error="no such figure"))
    found = compare_runs(before, after)
    assert [a.outcome for _, a in found.changed] == ["error", "holds"]
    assert any("none" in line and "holds -> error" in line for line in diff_lines(found))


def test_what_the_runs_were_made_with_is_compared_but_for_their_time(make_case: Make, make_run: Make) -> None:
    before = make_run(make_case(), run={"versions": {"torch": "2.12"}, "seconds": 3})
    after = make_run(make_case(), run={"versions": {"torch": "2.13"}, "seconds": 4})
    assert compare_runs(before, after).settings == (("versions.torch", "2.12", "2.13"),)


def test_a_loosened_bound_is_shown_beside_the_verdict_that_it_changed(make_case: Make, make_run: Make) -> None:
    before, after = make_run(make_case(0.02)), make_run(make_case(0.02, margin=0.03, gate=False))
    found = compare_runs(before, after)
    assert [(b.outcome, a.outcome) for b, a in found.changed] == [("broken", "holds")]
    assert len(found.rebound) == 1
    text = "\n".join(diff_lines(found))
    assert "≤ 1.00 pp, level 0.95, 1,000 pictures, gate" in text
    assert "≤ 3.00 pp, level 0.95, 1,000 pictures, observed" in text


def test_a_gate_that_is_gone_and_a_partial_run_are_said(make_case: Make, make_run: Make) -> None:
    before = make_run(make_case(task="a"), make_case(task="b", gate=False))
    lines = diff_lines(compare_runs(before, make_run(complete=False)))
    assert lines[1] == "the run after is partial: not all that it was to judge was judged"
    gone = [line.split()[:2] for line in lines if line.startswith("holds")]
    assert gone == [["holds", "gate"], ["holds", "observed"]]


def test_nothing_from_a_record_acts_on_the_terminal(make_case: Make, make_run: Make) -> None:
    hostile = make_case(task="\x1b[2J\rx")
    found = compare_runs(make_run(hostile, run={"a": "\x1b[31m"}), make_run(make_case()))
    assert all(line.isprintable() for line in diff_lines(found))


@pytest.mark.parametrize(("harm", "status"), [(0.002, 0), (0.05, 1)])
def test_the_command_takes_folders_and_fails_when_something_got_worse(
    make_case: Make, make_run: Make, tmp_path: Path, harm: float, status: int
) -> None:
    runs: dict[str, RunRecord] = {"before": make_run(make_case()), "after": make_run(make_case(harm))}
    for name, run in runs.items():
        write_json(tmp_path / name / "report.json", run)
    result = CliRunner().invoke(main, ["diff", str(tmp_path / "before"), str(tmp_path / "after" / "report.json")])
    assert result.exit_code == status, result.output
    assert "1 verdicts changed" in result.output or status == 0


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["diff", str(tmp_path), str(tmp_path)])
    assert result.exit_code == 1
    assert "the report cannot be read" in result.output
