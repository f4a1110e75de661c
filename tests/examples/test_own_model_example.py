"""The worked example of docs/own_model.md, from two other toolkits' quantizers to verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).parent / "gate_your_own"


def run(*command: object, cwd: Path, status: int = 0) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_one_quantized_model_passes_and_one_with_a_text_tower_of_4_bits_is_stopped(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "torchao"):
        pytest.importorskip(package)
    cache = ["--cache-dir", tmp_path / "cache"]
    command = "from reliability.cli import main; main()"
    run("-c", command, "export", "fp32", "--reference", "zoo:scenes-clean", "--to", "fp32", *cache, cwd=tmp_path)
    run(EXAMPLE / "quantize_with_onnxruntime.py", "fp32", "ort-int8", cwd=tmp_path)
    run(EXAMPLE / "quantize_with_torchao.py", "ao-int8", 8, cwd=tmp_path)
    run(EXAMPLE / "quantize_with_torchao.py", "ao-text4", 4, cwd=tmp_path)
    candidates = ["onnx:ort-int8", "pt2:ao-int8", "pt2:ao-text4", "eye-int8=onnx:ort-int8/visual.onnx"]
    options = [word for candidate in candidates for word in ("--candidate", candidate)]
    options += ["--thresholds", EXAMPLE / "thresholds.toml", "--report-dir", "report", "--limit", "400", *cache]
    gate = ["-m", "pytest", ROOT / "suites", "-q", "-p", "no:cacheprovider", "--reference", "zoo:scenes-clean"]
    output = run(*gate, *options, cwd=tmp_path, status=pytest.ExitCode.TESTS_FAILED)
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    broken = {case["case"] for case in record["cases"] if case["outcome"] != "holds"}
    assert broken == {"agreement[scenes-clean-ao-text4-id-js_divergence]"}, output
    assert {case["recipe"] for case in record["cases"]} == {"ort-int8", "ao-int8", "ao-text4", "eye-int8"}
    text = (tmp_path / "report" / "report.md").read_text()
    assert "candidate eye-int8 is onnx:visual.onnx" in text
    assert "its text features and logit scale come from the reference" in text
    assert str(tmp_path) not in text
