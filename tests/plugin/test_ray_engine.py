"""``--engine ray``: the cluster computes, and what is judged here is read from the cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reliability.evaluate.engine import Engine

RUN = ("--recipes", "w8a16-minmax")
ONE = """
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.05
gate = true
reason = "for tests"
"""
Gate = Callable[..., Any]


@pytest.fixture
def ray_of_this_machine() -> Iterator[None]:
    """One node with a core for each of two tasks."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_of_this_machine")
def test_nothing_is_computed_here_and_the_verdicts_are_those_of_this_machine(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        # In this process alone: those of the cluster load models as ever.
        patch.setattr(Engine, "loaded", lambda _: pytest.fail("a model was loaded here"))
        through_ray = gate("--engine", "ray", *RUN, cache=cache)
    assert through_ray.status in (0, 1), through_ray.output
    assert "ray: everything is cached" not in through_ray.output
    made = {file: file.stat().st_mtime_ns for file in cache.rglob("*.bin")}
    assert made
    here = gate(*RUN, cache=cache)
    assert here.figures() == through_ray.figures()
    assert made == {file: file.stat().st_mtime_ns for file in cache.rglob("*.bin")}
    again = gate("--engine", "ray", *RUN, cache=cache)
    assert "ray: everything is cached" in again.output


def test_a_missing_ray_names_its_extra_before_anything_is_judged(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    run = gate("--engine", "ray", *RUN)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "quant-reliability[ray]" in run.output


def test_workers_of_xdist_judge_what_the_controller_had_filled(gate: Gate, tmp_path: Path, bounds: str) -> None:
    pytest.importorskip("ray")
    bounds = bounds.partition("[[bound]]")[0] + ONE
    run = gate("--engine", "ray", "-n", "1", *RUN, cache=tmp_path / "cache", bounds=bounds)
    assert run.status in (0, 1), run.output
    assert "entries made" in run.output
    assert run.figures()


def test_a_cache_at_a_url_serves_the_gate(gate: Gate, shared_cache: Path) -> None:
    pytest.importorskip("fsspec")
    here, there = gate(), gate("--cache-dir", f"file://{shared_cache}")
    assert here.figures() == there.figures()
