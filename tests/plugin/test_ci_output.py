"""What a CI system is told: JUnit's XML, annotations and the job summary of a GitHub workflow."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Run = Callable[..., Any]

BOTH = "w2a2-minmax,fp32"


def _properties(file: Path) -> dict[str, dict[str, str]]:
    return {
        str(case.get("name")): {str(p.get("name")): str(p.get("value")) for p in case.iter("property")}
        for case in ElementTree.parse(file).iter("testcase")
    }


def test_junit_has_flat_properties_of_every_case(own_suite: Run, pytester: pytest.Pytester) -> None:
    run = own_suite("--junitxml", "junit.xml", recipes=BOTH)
    cases = _properties(pytester.path / "junit.xml")
    assert len(cases) == 4
    broken = cases["test_accuracy[scenes-clean-w2a2-minmax-id-top1]"]
    stored = {case["case"]: case for case in run.record["cases"]}["accuracy[scenes-clean-w2a2-minmax-id-top1]"]
    assert broken["verdict"] == "broken"
    assert (broken["claim"], broken["model"], broken["recipe"]) == ("accuracy", "scenes-clean", "w2a2-minmax")
    assert (broken["task"], broken["metric"], broken["gate"]) == ("id", "top1", "True")
    assert float(broken["harm"]) == pytest.approx(stored["harm"]["estimate"], rel=1e-5)
    lower, upper = (float(text) for text in broken["limits"].split(" to "))
    assert (lower, upper) == pytest.approx((stored["harm"]["lower"], stored["harm"]["upper"]), rel=1e-5)
    assert broken["allowed"] == "at most 0.05"
    assert int(broken["images"]) == stored["n"]
    assert "score" not in broken
    assert not any("{" in value for case in cases.values() for value in case.values())


def test_junit_of_a_case_that_could_not_be_judged_names_the_error(
    own_suite: Run, pytester: pytest.Pytester, bounds: str
) -> None:
    few = bounds[: bounds.index('[[bound]]\nclaim = "calibration_error"')].replace(
        "min_images = 40", "min_images = 9999"
    )
    own_suite("--junitxml", "junit.xml", bounds=few)
    case = _properties(pytester.path / "junit.xml")["test_accuracy[scenes-clean-fp32-id-top1]"]
    assert (case["verdict"], case["error"]) == ("error", "too few images for a verdict")
    assert "harm" not in case


@pytest.fixture
def workflow(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a step; the path is its job summary's."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    return pytester.path / "summary.md"


def test_a_broken_gate_is_annotated_where_its_bound_stands(own_suite: Run, workflow: Path) -> None:
    run = own_suite("--github", recipes=BOTH)
    lines = run.output.splitlines()
    token = next(line for line in lines if line.startswith("::stop-commands::")).rpartition(":")[2]
    spoken = lines[lines.index(f"::{token}::") + 1 :]
    commands = [line for line in spoken if line.startswith("::")]
    title = "title=broken%3A accuracy[scenes-clean-w2a2-minmax-id-top1]"
    (accuracy,) = (line for line in commands if title in line)
    bounds = (workflow.parent / "bounds.toml").read_text().splitlines()
    place = re.fullmatch(
        r"::error file=bounds\.toml,line=(\d+),title=[^:]*::top1: reference .*%0A.*for tests", accuracy
    )
    assert place is not None, accuracy
    assert bounds[int(place[1]) - 1 : int(place[1]) + 1] == ["[[bound]]", 'claim = "accuracy"']
    assert len(commands) == sum(outcome != "holds" for outcome in run.outcomes.values())


def test_the_job_summary_is_the_report_without_pictures(own_suite: Run, workflow: Path) -> None:
    workflow.write_text("from an earlier step\n")
    own_suite("--github")
    text = workflow.read_text()
    assert text.startswith("from an earlier step\n# Reliability of quantized models")
    assert "All 2 gates hold" in text
    assert "![" not in text


def test_outside_a_workflow_there_are_annotations_and_no_summary(
    own_suite: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    run = own_suite("--github", recipes="w2a2-minmax")
    assert "::error file=bounds.toml" in run.output
    assert run.status == pytest.ExitCode.TESTS_FAILED


def test_without_the_option_nothing_is_said_to_a_workflow(
    own_suite: Run, workflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run = own_suite(recipes="w2a2-minmax")
    assert "::" not in "".join(line for line in run.output.splitlines() if not line.startswith(("tests", "FAILED")))
    assert not workflow.exists()


def test_what_keeps_a_run_from_judging_is_annotated_too(own_suite: Run, workflow: Path) -> None:
    run = own_suite("--github", "--recipes", "w8a8-smothquant")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert [line for line in run.output.splitlines() if line.startswith("::error title=reliability::")]
    assert not workflow.exists()


STRADDLING = 'metric = "flip_rate"\nrelation = "at_most"\nmargin = '


def _straddling(own_suite: Run, bounds: str) -> str:
    """Bounds whose margin is the very estimate, so that the interval straddles it."""
    few = bounds[: bounds.index('[[bound]]\nclaim = "calibration_error"')]
    measured = own_suite(recipes="w4a4-minmax").record["cases"]
    rate = next(case["candidate"]["estimate"] for case in measured if case["claim"] == "agreement")
    return few.replace(STRADDLING + "0.25", STRADDLING + repr(rate)).replace("margin = 0.05", "margin = 0.9")


def test_an_inconclusive_gate_fails_unless_it_is_only_to_be_reported(own_suite: Run, bounds: str) -> None:
    straddling = _straddling(own_suite, bounds)
    strict = own_suite(recipes="w4a4-minmax", bounds=straddling)
    assert strict.status == pytest.ExitCode.TESTS_FAILED
    lenient = own_suite("--inconclusive=report", recipes="w4a4-minmax", bounds=straddling)
    assert lenient.status == pytest.ExitCode.OK, lenient.output
    assert sorted(lenient.outcomes.values()) == sorted(strict.outcomes.values()) == ["holds", "inconclusive"]
    assert "1 xfailed" in lenient.output
    assert lenient.record["run"]["inconclusive"] == "report"
    assert strict.record["run"]["inconclusive"] == "fail"
    text = (lenient.report / "report.md").read_text()
    assert "No verdict: 1 of 2 gates is inconclusive, which this run only reports; no gate is broken." in text
    assert "--inconclusive=report" in text.partition("## Notes")[2]
    table = text.partition("## Candidates")[2].partition("##")[0]
    assert "no verdict" in table
    assert "stopped" not in table


def test_a_broken_gate_fails_however_lenient_the_run_is(own_suite: Run) -> None:
    run = own_suite("--inconclusive=report", recipes="w2a2-minmax")
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert "Stopped:" in run.output


def test_what_is_only_reported_is_a_warning_in_a_workflow(own_suite: Run, bounds: str, workflow: Path) -> None:
    straddling = _straddling(own_suite, bounds)
    run = own_suite("--github", "--inconclusive=report", recipes="w4a4-minmax", bounds=straddling)
    assert "::warning file=bounds.toml" in run.output
    assert "::error" not in run.output
    assert "No verdict" in workflow.read_text()
