"""One machine, one seed: the same figures to the last byte, however the run is carried out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

BACKWARDS = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"


def test_workers_change_no_figure(
    gate: Any, same_figures: Callable[[Any], str], undisturbed: str, trials: Callable[[int, int], int]
) -> None:
    for workers in ("-n4", "-n1")[: trials(1, 2)]:
        assert same_figures(gate.run(workers)) == undisturbed


def test_another_order_changes_no_figure(
    gate: Any, same_figures: Callable[[Any], str], undisturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gate.folder / "backwards.py").write_text(BACKWARDS)
    monkeypatch.setenv("PYTHONPATH", str(gate.folder))
    assert same_figures(gate.run("-p", "backwards")) == undisturbed


def test_two_runs_that_share_a_cold_cache_have_the_figures_of_a_warm_one(
    gate: Any, same_figures: Callable[[Any], str], undisturbed: str, trials: Callable[[int, int], int]
) -> None:
    for _ in range(trials(1, 5)):
        shutil.rmtree(gate.cache)
        first, second = gate.start(), gate.start("--report-dir", "other")
        for child in (first, second):
            output, _ = child.communicate(timeout=180)
            assert child.returncode == 0, output
        assert same_figures(gate.report()) == same_figures(gate.report("other")) == undisturbed
        assert not gate.left_over()


def test_a_report_records_what_its_figures_depend_on(gate: Any) -> None:
    run = gate.run()["run"]
    assert {"versions", "machine", "python", "bootstrap", "thresholds", "code", "torch_threads", "limit"} <= set(run)
    assert len(run["code"]) == len(run["thresholds"]["sha256"]) == 64
    assert len(run["references"]["scenes-clean"]["weights"]) == 64
