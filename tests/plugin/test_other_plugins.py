"""Beside plugins that measure coverage, run tests again, shuffle them, or write pages of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

Run = Callable[..., Any]

FLAKY = """
import pytest
from reliability.plugin import claim

FIRST = []

@pytest.fixture
def shaky():
    if not FIRST:
        FIRST.append(1)
        raise OSError("a disk that is there the second time")

@claim("accuracy")
def test_accuracy(case, compare, shaky):
    verdict = compare(case).judge()
    assert verdict, verdict.explain()

@claim("agreement")
def test_agreement(case, compare):
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
"""


def test_a_case_that_is_run_again_is_recorded_once_as_it_ended(own_suite: Run, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    (pytester.path / "tests" / "test_reliability.py").write_text(FLAKY)
    run = own_suite("--reruns", "2")
    assert run.status == pytest.ExitCode.OK, run.output
    assert "1 rerun" in run.output
    assert set(run.outcomes.values()) == {"holds"}
    assert run.record["complete"]


def test_running_again_does_not_mend_a_broken_gate(own_suite: Run, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    run = own_suite("--reruns", "1", "--junitxml", "junit.xml", recipes="w2a2-minmax")
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes["accuracy[scenes-clean-w2a2-minmax-id-top1]"] == "broken"
    attempts = list(ElementTree.parse(pytester.path / "junit.xml").iter("testcase"))
    verdicts = [[p.get("value") for p in case.iter("property") if p.get("name") == "verdict"] for case in attempts]
    assert len(attempts) == 4
    assert verdicts == [["broken"]] * 4, "each attempt states its verdict once"


def test_what_breaks_after_a_verdict_fails_the_test_and_keeps_the_record(
    own_suite: Run, pytester: pytest.Pytester
) -> None:
    (pytester.path / "tests" / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(autouse=True)\ndef untidy():\n    yield\n    raise OSError('afterwards')\n"
    )
    run = own_suite()
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert "2 errors" in run.output
    assert set(run.outcomes.values()) == {"holds"}


def test_shuffled_cases_stay_grouped_by_candidate_and_give_the_same_report(
    own_suite: Run, pytester: pytest.Pytester
) -> None:
    """The order is pytest-randomly's own way of shuffling; the plugin itself would reseed the tests of this process."""
    recipes = "fp32,w8a8-minmax,w2a2-minmax"
    plain = own_suite(recipes=recipes)
    (pytester.path / "tests" / "conftest.py").write_text(
        "import pytest, random\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n    random.Random(3).shuffle(items)\n"
    )
    shuffled = own_suite("-v", recipes=recipes)
    assert shuffled.figures() == plain.figures()
    ran = [line for line in shuffled.output.splitlines() if line.startswith("tests/test_reliability.py::")]
    order = [next(name for name in recipes.split(",") if name in line) for line in ran]
    assert len(order) == 6
    assert [order[0], order[2], order[4]] == [order[1], order[3], order[5]]


def test_with_the_real_shuffler_every_case_is_judged(own_suite: Run) -> None:
    pytest.importorskip("pytest_randomly")
    run = own_suite("-p", "pytest_randomly", in_workers=True)
    assert run.status == pytest.ExitCode.OK, run.output
    assert run.record["complete"]


def test_coverage_of_the_tests_is_measured(own_suite: Run, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_cov")
    run = own_suite("--cov=tests", "--cov-report=json:cov.json", in_workers=True)
    assert run.status == pytest.ExitCode.OK, run.output
    measured = json.loads((pytester.path / "cov.json").read_text())
    assert measured["totals"]["percent_covered"] == 100.0
    assert run.record["complete"]


def test_a_page_of_test_results_shows_the_explanation(own_suite: Run, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_html")
    run = own_suite("--html=page.html", "--self-contained-html", recipes="w2a2-minmax")
    assert run.status == pytest.ExitCode.TESTS_FAILED
    page = (pytester.path / "page.html").read_text()
    assert "test_accuracy[scenes-clean-w2a2-minmax-id-top1]" in page
    assert "broken: accuracy" in page
