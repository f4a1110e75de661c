"""Pytest's own ways to choose and stop, in somebody's own repository."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

Run = Callable[..., Any]

BOTH = "w2a2-minmax,fp32"
SHARING = (files("reliability.starter") / "conftest.py.txt").read_text()


def test_a_repository_says_everything_in_its_pyproject(own_suite: Run) -> None:
    run = own_suite()
    assert run.status == pytest.ExitCode.OK, run.output
    assert set(run.outcomes) == {
        "accuracy[scenes-clean-fp32-id-top1]",
        "agreement[scenes-clean-fp32-id-flip_rate]",
    }
    assert run.record["complete"]


def test_the_first_failure_can_stop_the_run_and_the_report_is_partial(own_suite: Run) -> None:
    run = own_suite("-x", recipes=BOTH)
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert len(run.outcomes) < 4
    assert "broken" in run.outcomes.values()
    assert not run.record["complete"]


def test_only_what_failed_last_is_judged_again(own_suite: Run) -> None:
    first = own_suite(recipes=BOTH)
    assert first.status == pytest.ExitCode.TESTS_FAILED
    failed = {case for case, outcome in first.outcomes.items() if outcome != "holds"}
    again = own_suite("--lf", recipes=BOTH)
    assert again.status == pytest.ExitCode.TESTS_FAILED
    assert 0 < len(failed) < 4
    assert set(again.outcomes) == failed


def test_only_files_of_what_failed_last_are_needed(own_suite: Run, pytester: pytest.Pytester, bounds: str) -> None:
    """With --lf pytest does not even collect the other files, whose bounds then meet no claim."""
    tests = pytester.path / "tests"
    whole = (tests / "test_reliability.py").read_text()
    imports, first_claim, second_claim = (whole.index(text) for text in ("from", '@claim("acc', '@claim("agr'))
    (tests / "test_reliability.py").write_text(whole[:second_claim])
    (tests / "test_answers.py").write_text(whole[imports:first_claim] + whole[second_claim:])
    few = bounds[: bounds.index('[[bound]]\nclaim = "calibration_error"')]
    apart = few.replace('applies = { task = "id" }', 'applies = { recipe = "w2a2-*", task = "id" }', 1)
    apart = apart.replace('applies = { task = "id" }', 'applies = { recipe = "fp32", task = "id" }', 1)
    first = own_suite(bounds=apart, recipes=BOTH)
    assert first.status == pytest.ExitCode.TESTS_FAILED, first.output
    assert len(first.outcomes) == 2
    again = own_suite("--lf", bounds=apart, recipes=BOTH)
    assert again.status == pytest.ExitCode.TESTS_FAILED, again.output
    assert again.outcomes == {"accuracy[scenes-clean-w2a2-minmax-id-top1]": "broken"}


def test_collecting_shows_the_cases_and_writes_nothing(own_suite: Run) -> None:
    run = own_suite("--collect-only", "-q")
    assert run.status == pytest.ExitCode.OK
    assert "test_accuracy[scenes-clean-fp32-id-top1]" in run.output
    assert not run.report.exists()


def test_a_word_selects_cases_by_any_part_of_their_id(own_suite: Run) -> None:
    run = own_suite("-k", "w2a2 and flip_rate", recipes=BOTH)
    assert set(run.outcomes) == {"agreement[scenes-clean-w2a2-minmax-id-flip_rate]"}


def test_quiet_means_no_table(own_suite: Run) -> None:
    assert "report.md" in own_suite().output
    assert "report.md" not in own_suite("-q").output


def test_workers_that_share_by_group_keep_a_candidate_together(own_suite: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "tests" / "conftest.py").write_text(SHARING)
    alone = own_suite(recipes="w8a8-minmax,fp32")
    shared = own_suite("-n2", "--dist", "loadgroup", "-v", recipes="w8a8-minmax,fp32", in_workers=True)
    assert shared.status == alone.status == pytest.ExitCode.OK, shared.output
    assert shared.figures() == alone.figures()
    assert shared.record["complete"]
    ran = re.findall(r"\[(gw\d)\].* PASSED .*scenes-clean-(\S+)-id-", shared.output)
    assert len(ran) == 4
    assert len(set(ran)) == 2


def test_the_summary_has_colours_where_they_are_wanted_and_is_plain_elsewhere(
    own_suite: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b" not in own_suite(recipes="w2a2-minmax").output
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = own_suite(recipes="w2a2-minmax").output
    assert "\x1b[31m\x1b[1mStopped:" in coloured
    assert "\x1b[31mbroken  accuracy" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in own_suite(recipes="w2a2-minmax").output
