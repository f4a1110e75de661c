"""Models of the user's own at the gate, and the commands that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model

Gate = Callable[..., Any]


@pytest.fixture
def phone(tmp_path: Path, shared_cache: Path) -> Path:
    """The reference's features on the gate's pictures, moved a little, as if they came from a phone."""
    engine = Engine(Cache(shared_cache), open_data("scenes", limit=60))
    tasks = (engine.data.task("id"), engine.data.task("ood/near"))
    (tmp_path / "phone" / "images").mkdir(parents=True)
    for task in tasks:
        for part in filter(None, (task.part, task.familiar)):
            arrays = engine.reference_images(parse_model("zoo:scenes-clean"), part.source)
            moved = arrays["image"] + np.random.default_rng(0).normal(0, 0.02, arrays["image"].shape)
            path = tmp_path / "phone" / "images" / f"{part.source}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, ids=arrays["ids"], image=moved.astype(np.float32))
    return tmp_path / "phone"


def test_features_of_a_phone_are_judged_and_the_report_says_where_the_texts_come_from(gate: Gate, phone: Path) -> None:
    run = gate("--embeddings", str(phone))
    assert run.status == pytest.ExitCode.OK, run.output
    assert set(run.outcomes) == {
        "accuracy[scenes-clean-phone-id-top1]",
        "agreement[scenes-clean-phone-id-flip_rate]",
        "calibration_error[scenes-clean-phone-id-ece]",
        "ood_separation[scenes-clean-phone-ood/near-auroc-mcm]",
    }
    notes = (run.report / "report.md").read_text().partition("## Notes")[2]
    assert "candidate phone is embeddings:phone" in notes
    assert "text features and logit scale come from the reference" in notes
    assert str(phone) not in (run.report / "report.json").read_text()


def test_bounds_are_matched_by_a_candidates_name_and_recipes_can_stand_beside_it(
    gate: Gate, phone: Path, bounds: str
) -> None:
    only = bounds.replace('applies = { task = "id" }', 'applies = { recipe = "w8a8-*", task = "id" }', 1)
    run = gate("--embeddings", f"w8a8-phone={phone}", "--recipes", "fp32", bounds=only)
    assert run.status == pytest.ExitCode.OK, run.output
    assert "accuracy[scenes-clean-w8a8-phone-id-top1]" in run.outcomes
    assert "accuracy[scenes-clean-fp32-id-top1]" not in run.outcomes
    assert "agreement[scenes-clean-fp32-id-flip_rate]" in run.outcomes


def test_a_candidate_that_no_bound_covers_stops_the_run(gate: Gate, phone: Path, bounds: str) -> None:
    narrow = bounds.replace("applies = {", 'applies = { recipe = "w8a8-*",')
    run = gate("--embeddings", str(phone), bounds=narrow)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "matched by its name" in run.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidate", "python:mine:make", "--untrusted"), "--untrusted refuses models"),
        (("--candidate", "onnx:absent.onnx"), "no such file"),
        (("--candidate", "fp32=zoo:scenes-web", "--recipes", "fp32"), "a model is named twice"),
        (("--embeddings", "absent"), "no such folder"),
    ],
)
def test_what_cannot_be_judged_is_a_usage_error(gate: Gate, options: tuple[str, ...], message: str) -> None:
    run = gate(*options)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert message in run.output
    assert "Traceback" not in run.output


def test_a_candidate_is_made_at_the_command_line_and_judged(gate: Gate, tmp_path: Path, shared_cache: Path) -> None:
    from click.testing import CliRunner

    from reliability.cli import main

    options = ["--cache-dir", str(shared_cache)]
    made = CliRunner().invoke(main, ["quantize", "zoo:scenes-clean", "w8a8-minmax", "--out", str(tmp_path), *options])
    assert made.exit_code == 0, made.output
    assert "100.0% of the products" in made.output
    again = CliRunner().invoke(main, ["quantize", "zoo:scenes-clean", "w8a8-minmax", "--out", str(tmp_path), *options])
    assert again.exit_code == 1
    assert "holds a saved candidate already" in again.output
    run = gate("--candidate", f"mine=saved:{tmp_path}", "--recipes", "w8a8-minmax")
    assert run.status == pytest.ExitCode.OK, run.output
    figures = {name: (case["candidate"], case["harm"]) for name, case in run.figures().items()}
    for name, figure in figures.items():
        if "-mine-" in name:
            assert figure == figures[name.replace("-mine-", "-w8a8-minmax-")]
