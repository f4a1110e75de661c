"""Run the real suites on the embedded model, small enough to repeat, from a shared cache."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reliability.data.registry import open_data
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "suites"

BOUNDS = """
schema = 1
[defaults]
level = 0.95
min_images = 40
[run]
recipes = ["fp32"]
[[floor]]
model = "*"
task = "id"
metric = "top1"
at_least = 0.2
reason = "better than guessing"
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.05
gate = true
reason = "for tests"
[[bound]]
claim = "agreement"
applies = { task = "id" }
metric = "flip_rate"
relation = "at_most"
margin = 0.25
gate = true
reason = "for tests"
[[bound]]
claim = "calibration_error"
applies = { task = "id" }
metric = "ece"
relation = "not_worse"
margin = 0.15
gate = true
reason = "for tests"
[[bound]]
claim = "ood_separation"
applies = { task = "ood/near" }
metric = "auroc"
score = "mcm"
relation = "not_worse"
margin = 0.05
gate = true
reason = "for tests"
"""


CLAIMS = """
from reliability.plugin import claim

@claim("accuracy")
def test_accuracy(case, compare):
    verdict = compare(case).judge()
    assert verdict, verdict.explain()

@claim("agreement")
def test_agreement(case, compare):
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
"""

PRELOADED = (
    "hypothesis.internal.observability",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "reliability.report.diagram",
    "reliability.report.forest",
    "reliability.report.properties",
    "reliability.session.log",
)
"""Pytester forgets what a run in this process imports; what is imported before is imported once."""


@dataclass
class GateRun:
    """What one run of the gate left behind."""

    status: int
    output: str
    report: Path

    @property
    def record(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.report / "report.json").read_text())
        return loaded

    @property
    def outcomes(self) -> dict[str, str]:
        return {case["case"]: case["outcome"] for case in self.record["cases"]}

    def figures(self) -> dict[str, Any]:
        """Everything that must not depend on how the run was carried out."""
        varying = {"seconds"}
        return {
            case["case"]: {key: value for key, value in case.items() if key not in varying}
            for case in self.record["cases"]
        }


@pytest.fixture
def bounds() -> str:
    """The threshold file of these tests, to be altered."""
    return BOUNDS


@pytest.fixture(scope="session")
def documented() -> list[str]:
    """The Python examples of docs/plugin.md: a test file, then a conftest."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "plugin.md").read_text(), re.S | re.M)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs of a worker, so that each embedding is computed once.

    Filling it here also imports torch for good: pytester forgets modules that a run
    in this process imports, and torch cannot be imported twice.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    root = tmp_path_factory.mktemp("cache")
    engine = Engine(Cache(root), open_data("scenes", limit=60))
    engine.pair(parse_model("zoo:scenes-clean"), parse_recipe("w8a8-minmax"), engine.data.task("id"))
    return root


Gate = Callable[..., GateRun]


@pytest.fixture
def gate(pytester: pytest.Pytester, shared_cache: Path) -> Gate:
    """``gate("--recipes", "fp32", bounds=TEXT)`` runs the suites in this process or, with ``-n``, in workers."""

    def run(*arguments: str, bounds: str = BOUNDS, suites: Path = SUITES, cache: Path = shared_cache) -> GateRun:
        thresholds = pytester.path / "bounds.toml"
        thresholds.write_text(bounds)
        report = pytester.path / f"report-{len(list(pytester.path.glob('report-*')))}"
        options = ["--thresholds", thresholds, "--report-dir", report, "--cache-dir", cache, "--limit", "60"]
        settings = ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:randomly"]
        everything = [str(value) for value in (suites, *settings, *options, *arguments)]
        in_workers = any(value.startswith("-n") for value in arguments)
        result = pytester.runpytest_subprocess(*everything) if in_workers else pytester.runpytest_inprocess(*everything)
        return GateRun(int(result.ret), "\n".join([*result.outlines, *result.errlines]), report)

    return run


@pytest.fixture
def own_suite(pytester: pytest.Pytester, shared_cache: Path) -> Gate:
    """``own_suite("-x")`` runs two claims of somebody's own repository, which says the rest in its pyproject.toml.

    Bounds and recipes can be given: ``own_suite(bounds=TEXT, recipes="w2a2-minmax")``.
    """
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "test_reliability.py").write_text(CLAIMS)
    few = BOUNDS[: BOUNDS.index('[[bound]]\nclaim = "calibration_error"')]

    def run(*arguments: str, bounds: str = few, recipes: str = "fp32", in_workers: bool = False) -> GateRun:
        (pytester.path / "bounds.toml").write_text(bounds)
        report = pytester.path / f"report-{len(list(pytester.path.glob('report-*')))}"
        table = {"thresholds": "bounds.toml", "cache-dir": str(shared_cache), "recipes": recipes, "limit": 60}
        lines = [f"{name} = {json.dumps(value)}" for name, value in {**table, "report-dir": report.name}.items()]
        (pytester.path / "pyproject.toml").write_text("\n".join(["[tool.reliability]", *lines]))
        call = pytester.runpytest_subprocess if in_workers else pytester.runpytest_inprocess
        result = call("tests", "-p", "no:randomly", *arguments)
        return GateRun(int(result.ret), "\n".join([*result.outlines, *result.errlines]), report)

    return run
