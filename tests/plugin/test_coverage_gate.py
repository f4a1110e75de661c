"""The coverage proof in whole runs of the gate: verdicts, report and explanation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gate = Callable[..., Any]

COVERAGE = """
[[bound]]
claim = "coverage"
applies = { task = "id" }
metric = "declared_share"
relation = "at_least"
margin = 1.0
gate = true
min_images = 1
reason = "for tests"
[[bound]]
claim = "clipping"
applies = { task = "id" }
metric = "clipped_share"
relation = "at_most"
margin = 0.01
gate = false
min_images = 1
reason = "for tests"
"""


def explained(name: str, reports: Path) -> str:
    from click.testing import CliRunner

    from reliability.cli import main

    shown = CliRunner().invoke(main, ["explain", name, "--reports", str(reports)])
    assert shown.exit_code == 0, shown.output
    return str(shown.output)


def test_a_sound_candidate_holds_and_the_report_says_what_ran(gate: Gate, bounds: str) -> None:
    run = gate("--recipes", "fp32,w8a8-minmax", bounds=bounds + COVERAGE)
    name = "coverage[scenes-clean-w8a8-minmax-id-declared_share]"
    assert run.status == pytest.ExitCode.OK, run.output
    assert run.outcomes[name] == "holds"
    text = (run.report / "report.md").read_text()
    assert "## What ran quantized" in text
    assert "attention's own products (7.7% of multiply-accumulates)" in text
    stored = next(case for case in run.record["cases"] if case["case"] == name)
    assert len(stored["details"]["coverage"]["parts"]) > 20
    assert stored["n"] == 128
    shown = explained(name, run.report)
    assert "92.25 % quantized, 100.00 % as declared, 0 faults" in shown
    assert "visual.conv1" in shown


def test_a_layer_left_in_float_stops_the_run_and_is_named(
    gate: Gate, bounds: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch
    from torch import nn

    from reliability.evaluate.running.candidates import Candidates

    sound = Candidates.network

    def network(self: Any, *arguments: Any) -> Any:
        clip = copy.deepcopy(sound(self, *arguments))
        layer = clip.visual.transformer.resblocks[0].mlp.c_fc
        plain = nn.Linear(layer.in_features, layer.out_features)
        with torch.no_grad():
            plain.weight.copy_(layer.weight)
            plain.bias.copy_(layer.bias)
        clip.visual.transformer.resblocks[0].mlp.c_fc = plain
        return clip

    monkeypatch.setattr(Candidates, "network", network)
    run = gate("--recipes", "w8a8-minmax", bounds=bounds + COVERAGE, cache=tmp_path / "spoiled")
    name = "coverage[scenes-clean-w8a8-minmax-id-declared_share]"
    assert run.status == pytest.ExitCode.TESTS_FAILED
    # The candidate is as accurate as ever: nothing but the proof can see this.
    assert {case: outcome for case, outcome in run.outcomes.items() if outcome != "holds"} == {name: "broken"}
    text = (run.report / "report.md").read_text()
    assert "left in float" in text
    assert "visual.transformer.resblocks.0.mlp.c_fc" in text
    assert "left in float" in explained(name, run.report)


def test_layers_that_a_recipe_declares_float_hold_and_are_named(
    gate: Gate, bounds: str, pytester: pytest.Pytester
) -> None:
    file = pytester.path / "recipes.toml"
    file.write_text('[[recipe]]\nname = "careful"\nbase = "w8a8-minmax"\nfloat_layers = ["visual.conv1", "*.c_proj"]\n')
    run = gate("--recipe-file", str(file), "--recipes", "careful", bounds=bounds + COVERAGE)
    assert run.status == pytest.ExitCode.OK, run.output
    assert run.outcomes["coverage[scenes-clean-careful-id-declared_share]"] == "holds"
    assert "visual.conv1, visual.transformer.resblocks.0.mlp.c_proj" in (run.report / "report.md").read_text()
    assert run.record["run"]["recipes"]["careful"]["float_layers"] == "*.c_proj visual.conv1"


def test_a_declaration_that_matches_no_layer_is_an_error(gate: Gate, bounds: str, pytester: pytest.Pytester) -> None:
    file = pytester.path / "recipes.toml"
    file.write_text('[[recipe]]\nname = "vague"\nbase = "w8a8-minmax"\nfloat_layers = ["visual.conv9"]\n')
    run = gate("--recipe-file", str(file), "--recipes", "vague", bounds=bounds + COVERAGE)
    assert set(run.outcomes.values()) == {"error"}
    assert "visual.conv9" in run.output
