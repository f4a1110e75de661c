"""Collecting is quick because of what it does not import, and other test suites pay nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    *("torch", "torchvision", "open_clip", "matplotlib", "altair", "pandas", "pyarrow", "onnxruntime", "jinja2"),
    *("scipy.stats", "scipy.optimize"),
}


def _imported(code: str) -> set[str]:
    """Modules after some code, in a process of its own."""
    code = f"import sys; {code}; print('imported', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("imported ")[2].split())


def test_collecting_the_suites_imports_neither_models_nor_what_only_judging_needs() -> None:
    arguments = ["suites", "--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:html", "-p", "no:randomly"]
    found = _imported(f"import pytest; assert pytest.main({arguments}) == 0")
    assert "reliability.session.gate" in found
    assert found & HEAVY == set()


def test_a_suite_without_claims_imports_no_numbers_at_all() -> None:
    found = _imported("import reliability.plugin")
    assert found & {"numpy", "scipy", "torch", "tqdm", "reliability.session.gate"} == set()
