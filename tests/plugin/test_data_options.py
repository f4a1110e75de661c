"""The options about data, through a whole run of the gate on stored pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.data.scenes.vocabulary import fine_class_names

Gate = Callable[..., Any]

ACCURACY = """
schema = 1
[defaults]
level = 0.95
min_images = 40
[run]
recipes = ["fp32"]
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.15
gate = true
reason = "for tests"
"""
FITTED = """
[[bound]]
claim = "ood_separation"
applies = { task = "ood/near" }
metric = "auroc"
score = ["mcm", "kl_matching"]
relation = "not_worse"
margin = 0.1
gate = true
min_images = 8
reason = "for tests"
"""
GROUPED = """
[[group]]
name = "noise_two"
task = ["noise/fog/3", "noise/contrast/3"]
clean = "id"
[[bound]]
claim = "noise_robustness"
applies = { group = "noise_two" }
metric = ["mean_corruption_accuracy", "mce_corruption"]
relation = "not_worse"
margin = 0.5
gate = true
reason = "for tests"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of each of six classes of scenes in ``val``, two of each in ``train``; one file is damaged."""
    root = tmp_path_factory.mktemp("pictures")
    scenes = sample("stored", 0, np.arange(4000))
    pictures = render(scenes, 32)
    for label in range(6):
        name, rows = fine_class_names()[label], np.flatnonzero(scenes.fine_label == label)
        for number, row in enumerate(rows[:12]):
            file = root / ("val" if number < 10 else "train") / name / f"{number:02d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures[row]).save(file)
    (root / "val" / fine_class_names()[0] / "03.png").write_bytes(b"junk")
    return root


def top1(run: Any) -> float:
    (case,) = [case for case in run.record["cases"] if case["metric"] == "top1"]
    return float(case["reference"]["estimate"])


def test_an_unreadable_picture_stops_the_run_unless_it_may_be_left_out(gate: Gate, folder: Path) -> None:
    strict = gate("--data", f"folder:{folder}", bounds=ACCURACY)
    assert strict.status == pytest.ExitCode.TESTS_FAILED
    assert "unreadable image" in strict.output
    lenient = gate("--data", f"folder:{folder}", "--skip-unreadable", "1", bounds=ACCURACY)
    assert lenient.status == pytest.ExitCode.OK, lenient.output
    assert "red circle/03.png" in (lenient.report / "report.md").read_text()
    assert {case["n"] for case in lenient.record["cases"]} == {59}


def test_prompts_of_ones_own_take_the_place_of_the_datas(gate: Gate, folder: Path, tmp_path: Path) -> None:
    arguments = ("--data", f"folder:{folder}", "--skip-unreadable", "1")
    names = fine_class_names()[:6]
    swapped = tmp_path / "swapped.toml"
    swapped.write_text(f"[rename]\n{names[0]!r} = {names[1]!r}\n{names[1]!r} = {names[0]!r}\n".replace("'", '"'))
    own, renamed = gate(*arguments, bounds=ACCURACY), gate(*arguments, "--prompts", str(swapped), bounds=ACCURACY)
    assert own.status == renamed.status == pytest.ExitCode.OK, renamed.output
    assert top1(own) - top1(renamed) > 0.15
    swapped.write_text('[rename]\n"no such class" = "x"\n')
    refused = gate(*arguments, "--prompts", str(swapped), bounds=ACCURACY)
    assert refused.status == pytest.ExitCode.USAGE_ERROR
    assert "no such class" in refused.output


def test_a_train_split_serves_scores_that_are_fitted(gate: Gate, folder: Path) -> None:
    run = gate("--data", f"folder:{folder}", "--skip-unreadable", "1", bounds=ACCURACY + FITTED)
    assert run.status == pytest.ExitCode.OK, run.output
    assert {case["score"] for case in run.record["cases"]} == {"", "mcm", "kl_matching"}
    bare = gate("--data", f"folder:{folder / 'train'}", bounds=ACCURACY.replace("40", "8") + FITTED)
    (error,) = [case["error"] for case in bare.record["cases"] if case["score"] == "kl_matching"]
    assert "without a train split" in error


def test_a_group_of_tasks_is_one_case_in_the_report(gate: Gate, folder: Path) -> None:
    run = gate("--data", f"folder:{folder}", "--skip-unreadable", "1", bounds=ACCURACY + GROUPED)
    assert run.status == pytest.ExitCode.OK, run.output
    grouped = {case["metric"]: case for case in run.record["cases"] if case["task"] == "noise_two"}
    assert set(grouped) == {"mean_corruption_accuracy", "mce_corruption"}
    assert grouped["mce_corruption"]["reference"]["estimate"] == 1.0
    assert grouped["mce_corruption"]["n"] == 59
    assert "noise_two" in (run.report / "report.md").read_text()
