"""Bad input ends in one clear error and a non-zero exit status, never in a pass or a skip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reliability.models.zoo import zoo_weights

Gate = Callable[..., Any]

OPTIONS = {
    "unknown recipe": (["--recipes", "w8a8-smothquant"], "w8a8-smoothquant"),
    "unknown recipe pattern": (["--recipes", "w9*"], "no known recipe matches"),
    "unknown model": (["--reference", "zoo:scenes-claen"], "zoo:scenes-clean"),
    "unknown kind of model": (["--reference", "resnet50"], "zoo:NAME"),
    "model without weights": (["--reference", "open_clip:ViT-B-32"], "--checkpoint"),
    "missing checkpoint": (
        ["--reference", "open_clip:ViT-B-32", "--checkpoint", "nowhere.safetensors"],
        "no such checkpoint",
    ),
    "unknown data": (["--data", "sceens"], "scenes"),
    "empty data folder": (["--data", "webdataset:."], "no shards"),
    "unknown device": (["--torch-device", "gpu"], "no such device"),
    "model named twice": (["--reference", "zoo:scenes-clean", "--reference", "zoo:scenes-clean"], "twice"),
}


@pytest.mark.parametrize(("arguments", "hint"), OPTIONS.values(), ids=OPTIONS)
def test_a_wrong_option_is_a_usage_error_with_a_hint(gate: Gate, arguments: list[str], hint: str) -> None:
    run = gate(*arguments)
    assert run.status == pytest.ExitCode.USAGE_ERROR, run.output
    assert hint in run.output
    assert "next:" in run.output
    assert "Traceback" not in run.output


BOUNDS_FAULTS: dict[str, tuple[Callable[[str], str], str]] = {
    "unknown key": (lambda text: text.replace("gate = true", "gates = true", 1), "gate"),
    "unknown metric": (lambda text: text.replace('"top1"', '"top11"'), "top1"),
    "unknown score": (lambda text: text.replace('"mcm"', '"mmc"'), "mcm"),
    "two bounds on one case": (lambda text: text + text[text.index("[[bound]]") :], "two entries judge one figure"),
    "bound that matches no claim": (lambda text: text.replace('"agreement"', '"agrement"'), "agrement"),
    "bound that matches no task": (lambda text: text.replace('"ood/near"', '"odd/near"'), "ood_separation"),
    "not TOML": (lambda text: text + "\n[[", "TOML"),
}


@pytest.mark.parametrize(("spoil", "hint"), BOUNDS_FAULTS.values(), ids=BOUNDS_FAULTS)
def test_a_faulty_threshold_file_is_refused(gate: Gate, bounds: str, spoil: Callable[[str], str], hint: str) -> None:
    run = gate(bounds=spoil(bounds))
    assert run.status == pytest.ExitCode.USAGE_ERROR, run.output
    assert hint in run.output
    assert "bounds.toml" in run.output
    assert not (run.report / "report.json").exists()


def test_workers_report_a_usage_error_once(gate: Gate) -> None:
    run = gate("--recipes", "w8a8-smothquant", "-n2")
    assert run.status == pytest.ExitCode.USAGE_ERROR, run.output
    assert run.output.count("did you mean") == 1
    assert "Traceback" not in run.output


def test_a_recipe_that_no_bound_covers_is_refused(gate: Gate, bounds: str) -> None:
    run = gate("--recipes", "w8a8-minmax", bounds=bounds.replace("applies = { ", 'applies = { recipe = "fp32", '))
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "no bound applies to a recipe" in run.output


@pytest.fixture
def spoiled_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], None]], None]:
    """Replace the embedded weights by a copy that a function has damaged."""

    def spoil(damage: Callable[[Path], None]) -> None:
        copy = tmp_path / "scenes-clean.safetensors"
        copy.write_bytes(zoo_weights("scenes-clean").read_bytes())
        damage(copy)
        monkeypatch.setattr("reliability.models.kinds.zoo.zoo_weights", lambda _: copy)

    return spoil


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _plant_nan(path: Path) -> None:
    state = load_file(path)
    state["visual.proj"][0, 0] = torch.nan
    save_file(state, path)


@pytest.mark.parametrize(("damage", "hint"), [(_truncate, "cannot be read"), (_plant_nan, "not finite")])
def test_damaged_weights_are_an_error_in_every_case(
    gate: Gate, spoiled_zoo: Callable[..., None], damage: Callable[[Path], None], hint: str
) -> None:
    spoiled_zoo(damage)
    run = gate("--recipes", "fp32")
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert set(run.outcomes.values()) == {"error"}
    assert hint in run.output
