"""What a repository adds of its own: metrics and scores in a conftest, tasks in TOML, fixtures of both models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reliability.metrics import registry
from reliability.metrics.scores import SCORES

Run = Callable[..., Any]

BOUNDS = """
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "confident_errors"
relation = "not_worse"
margin = 0.2
gate = true
reason = "for tests"
[[bound]]
claim = "accuracy"
applies = { task = "ood/near" }
metric = "auroc"
score = "lead"
relation = "not_worse"
margin = 0.2
gate = true
reason = "for tests"
"""


@pytest.fixture
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run in this process registers is gone afterwards."""
    registry.all_metrics()
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))
    before = dict(SCORES)
    yield
    SCORES.clear()
    SCORES.update(before)


@pytest.mark.usefixtures("_forget")
def test_a_metric_and_a_score_of_a_conftest_are_judged_and_explained_in_the_report(
    own_suite: Run, pytester: pytest.Pytester, bounds: str, documented: list[str]
) -> None:
    (pytester.path / "tests" / "conftest.py").write_text(documented[1])
    head = bounds[: bounds.index("[[bound]]")]
    run = own_suite(
        bounds=head
        + BOUNDS
        + bounds[bounds.index('[[bound]]\nclaim = "agreement"') :].partition('[[bound]]\nclaim = "calibration_error"')[
            0
        ],
        recipes="w8a8-minmax",
    )
    assert run.status == pytest.ExitCode.OK, run.output
    cases = {case["metric"]: case for case in run.record["cases"]}
    assert cases["confident_errors"]["method"].startswith("paired bootstrap")
    assert 0.0 <= cases["confident_errors"]["candidate"]["estimate"] <= 1.0
    assert cases["auroc"]["case"] == "accuracy[scenes-clean-w8a8-minmax-ood/near-auroc-lead]"
    text = (run.report / "report.md").read_text()
    assert "Share of pictures that are answered wrongly with a confidence above one half." in text
    assert "How far the best class is ahead of the second." in text


FIXTURES = """
import numpy as np
from reliability.plugin import claim

@claim("accuracy")
def test_accuracy(case, compare, reference, candidate):
    assert (reference.part.ids == candidate.part.ids).all()
    moved = np.abs(reference.part.image - candidate.part.image).max()
    assert moved > 0
    verdict = compare(case).judge()
    assert verdict, verdict.explain()

@claim("agreement")
def test_agreement(case, compare):
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
"""


def test_both_models_are_there_as_fixtures(own_suite: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "tests" / "test_reliability.py").write_text(FIXTURES)
    run = own_suite(recipes="w8a8-minmax")
    assert run.status == pytest.ExitCode.OK, run.output


def test_the_fixtures_of_a_test_without_a_claim_say_what_they_need(own_suite: Run, pytester: pytest.Pytester) -> None:
    file = pytester.path / "tests" / "test_reliability.py"
    file.write_text(file.read_text() + "\ndef test_other(candidate):\n    pass\n")
    run = own_suite()
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert "this fixture is about the case of a claim" in run.output


def class_folders(folder: Path, *names: str) -> None:
    """Thirty little pictures of each class, all of them different."""
    draw = np.random.default_rng([len(names[0]), 5])
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


TASKS = """
[[task]]
name = "shift/noise"
data = "folder:photos"
head = "id"
card = "Nothing but noise."

[[task]]
name = "ood/static"
data = "folder:unfamiliar"
"""

OWN_BOUNDS = """
[[bound]]
claim = "accuracy"
applies = { task = "shift/noise" }
metric = "top1"
relation = "not_worse"
margin = 0.5
gate = true
reason = "for tests"
[[bound]]
claim = "agreement"
applies = { task = "ood/static" }
metric = "auroc"
score = "msp"
relation = "not_worse"
margin = 0.5
gate = true
reason = "for tests"
"""


def test_tasks_of_ones_own_are_judged_beside_those_of_the_data(
    own_suite: Run, pytester: pytest.Pytester, bounds: str
) -> None:
    class_folders(pytester.path / "photos", "blue square", "red circle")
    class_folders(pytester.path / "unfamiliar", "static", "snowfall")
    (pytester.path / "tasks.toml").write_text(TASKS)
    head = bounds[: bounds.index("[[bound]]")]
    run = own_suite("--tasks", "tasks.toml", bounds=head + OWN_BOUNDS, recipes="w8a8-minmax")
    assert run.status == pytest.ExitCode.OK, run.output
    cases = {case["case"]: case for case in run.record["cases"]}
    shift = cases["accuracy[scenes-clean-w8a8-minmax-shift/noise-top1]"]
    assert shift["n"] == 60
    assert shift["reference"]["estimate"] < 0.3, "noise is not recognised among all 120 classes"
    assert cases["agreement[scenes-clean-w8a8-minmax-ood/static-auroc-msp]"]["n"] == 120
    assert run.record["run"]["tasks"]["shift/noise"] == "Nothing but noise."
    assert not [note for note in run.record["notes"] if "set aside" in note]
