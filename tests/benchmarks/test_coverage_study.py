from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_ROOT = Path(__file__).parents[2]


def study(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.coverage", *map(str, arguments)]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def photographs(tmp_path):
    """Logits of two models on 400 pictures of five classes, the second noisier, as a file."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 5
    reference = 2.0 * rng.normal(size=(400, 5)) + 3.0 * np.eye(5)[labels]
    path = tmp_path / "photographs.npz"
    np.savez(path, reference=reference, candidate=reference + rng.normal(size=(400, 5)), labels=labels)
    return path


def test_a_quick_study_writes_a_table_a_file_and_a_picture(tmp_path):
    out, plot = tmp_path / "coverage.json", tmp_path / "coverage.png"
    printed = study("--quick", "--sims", 3, "--sizes", 100, "--metrics", "group_gap", "--out", out, "--plot", plot)
    assert printed.startswith("| metric")
    assert "**common pair**" in printed
    found = json.loads(out.read_text())
    assert found["settings"]["trials"] == 3
    assert {row["method"] for row in found["rows"]} == {"percentile", "basic", "bca", "common pair"}
    assert all(0.0 <= row["upper"] <= 1.0 and row["n"] == 100 for row in found["rows"])
    assert plot.stat().st_size > 5000


def test_real_pictures_are_resampled_and_their_own_figures_are_the_truth(photographs, tmp_path):
    out = tmp_path / "coverage.json"
    study("--real", photographs, "--sims", 20, "--sizes", 200, "--metrics", "top1", "auroc", "--out", out)
    rows = json.loads(out.read_text())["rows"]
    with np.load(photographs) as file:
        right = [(file[side].argmax(axis=1) == file["labels"]).mean() for side in ("reference", "candidate")]
    tango = next(row for row in rows if row["method"] == "tango")
    assert tango["truth"] == pytest.approx(right[0] - right[1])
    assert tango["upper"] >= 0.8
    assert tango["passes"] + tango["upper"] == pytest.approx(1.0)
    assert {row["metric"] for row in rows} == {"top1", "auroc (mcm)", "auroc (msp)"}


def test_corruptions_of_a_picture_are_drawn_with_it(tmp_path):
    out = tmp_path / "coverage.json"
    study("--quick", "--sims", 5, "--sizes", 200, "--metrics", "mce_corruption", "--out", out)
    rows = json.loads(out.read_text())["rows"]
    assert {row["method"] for row in rows} == {"percentile", "basic", "bca", "linear ratio"}
    assert {row["metric"] for row in rows} == {"mce_corruption"}
    assert {row["population"] for row in rows} == {
        "corrupted, harmful", "corrupted, rounding", "corrupted, 97 % right, harmful",
    }  # fmt: skip
    harmful = next(row for row in rows if row["population"] == "corrupted, harmful")
    assert 0.005 < harmful["truth"] < 0.05
