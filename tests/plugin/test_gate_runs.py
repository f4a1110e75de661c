"""The gate as a user runs it: verdicts, exit status, report, and the same with workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Gate = Callable[..., Any]


def test_a_model_against_itself_holds_everywhere_with_no_harm_at_all(gate: Gate) -> None:
    run = gate("--recipes", "fp32")
    assert run.status == pytest.ExitCode.OK, run.output
    assert set(run.outcomes.values()) == {"holds"}
    assert {case["harm"]["estimate"] for case in run.record["cases"]} == {0.0}
    assert run.record["complete"]


def test_a_good_recipe_passes_and_leaves_a_whole_report(gate: Gate) -> None:
    run = gate("--recipes", "w8a8-minmax")
    assert run.status == pytest.ExitCode.OK, run.output
    assert len(run.outcomes) == 4
    text = (run.report / "report.md").read_text()
    assert "gates hold" in text
    assert "w8a8-minmax" in text
    assert list((run.report / "figures").glob("*.png"))
    assert "report.md" in run.output


def test_a_destroyed_candidate_is_stopped_and_the_report_names_the_broken_claims(gate: Gate) -> None:
    run = gate("--recipes", "w2a2-minmax")
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes["accuracy[scenes-clean-w2a2-minmax-id-top1]"] == "broken"
    assert "accuracy" in (run.report / "report.md").read_text()
    assert "harm" in run.output
    assert "Traceback" not in run.output
    assert "next: reliability explain" in run.output


def test_workers_change_neither_verdicts_nor_figures(gate: Gate) -> None:
    recipes = "fp32,w8a8-minmax"
    alone = gate("--recipes", recipes)
    shared = gate("--recipes", recipes, "-n2")
    assert shared.status == alone.status == pytest.ExitCode.OK, shared.output
    assert shared.figures() == alone.figures()
    assert shared.record["complete"]


def test_a_cold_run_gives_the_figures_of_a_warm_one(gate: Gate, tmp_path: Any) -> None:
    warm = gate("--recipes", "w8a8-minmax")
    cold = gate("--recipes", "w8a8-minmax", cache=tmp_path / "cold")
    assert cold.figures() == warm.figures()


def test_a_partial_run_says_so(gate: Gate) -> None:
    run = gate("--recipes", "fp32", "-k", "agreement or answers")
    assert run.status == pytest.ExitCode.OK
    assert not run.record["complete"]
    assert "3 of 4 cases were not judged" in run.record["problems"][0]


def test_gates_can_be_selected_by_marker(gate: Gate) -> None:
    run = gate("--recipes", "fp32", "-m", "observed")
    assert run.status == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_observed_claim_that_is_broken_does_not_stop_the_run(gate: Gate, bounds: str) -> None:
    run = gate("--recipes", "w2a2-minmax", bounds=bounds.replace("gate = true", "gate = false"))
    assert run.status == pytest.ExitCode.OK, run.output
    assert "broken" in run.outcomes.values()
    assert "xfailed" in run.output


def test_an_inconclusive_gate_stops_the_run_and_says_so(gate: Gate, bounds: str) -> None:
    measured = gate("--recipes", "w4a4-minmax").record["cases"]
    flips = next(case for case in measured if case["claim"] == "agreement")
    # With the margin on the estimate itself the interval straddles it, however many pictures there are.
    margin = f"margin = {flips['candidate']['estimate']!r}"
    run = gate("--recipes", "w4a4-minmax", bounds=bounds.replace("margin = 0.25", margin))
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes[flips["case"]] == "inconclusive"
    assert "inconclusive" in run.output


def test_a_reference_below_its_floor_is_an_error_for_every_case(gate: Gate, bounds: str) -> None:
    run = gate("--recipes", "fp32", bounds=bounds.replace("at_least = 0.2", "at_least = 0.999"))
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert set(run.outcomes.values()) == {"error"}
    assert "floor" in run.output


def test_too_few_pictures_are_an_error_not_a_pass(gate: Gate, bounds: str) -> None:
    run = gate("--recipes", "fp32", bounds=bounds.replace("min_images = 40", "min_images = 4000"))
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert set(run.outcomes.values()) == {"error"}
    assert "too few images" in run.output


def test_explain_finds_the_case_that_a_failure_names(gate: Gate) -> None:
    from click.testing import CliRunner

    from reliability.cli import main

    run = gate("--recipes", "w8a8-minmax")
    name = "accuracy[scenes-clean-w8a8-minmax-id-top1]"
    shown = CliRunner().invoke(main, ["explain", name, "--reports", str(run.report)])
    assert shown.exit_code == 0, shown.output
    assert "holds" in shown.output
    missing = CliRunner().invoke(main, ["explain", "accuracy[nothing]", "--reports", str(run.report)])
    assert missing.exit_code != 0
    assert "accuracy[nothing]" in missing.output
