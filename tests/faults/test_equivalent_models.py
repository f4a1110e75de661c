"""The other way round: what computes the same holds, whatever order its sums are taken in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from equivalent_models import EQUIVALENT
from fault_world import World

from reliability.evaluate.running import embed
from reliability.session.gate import GateSession

LONG = bool(os.environ.get("RELIABILITY_LONG"))
FP32_TOLERANCE, QUANTIZED_TOLERANCE = 1e-5, 0.02
"""Largest difference of a feature over the largest feature, between batch sizes or thread counts."""


@pytest.mark.parametrize("change", EQUIVALENT.values(), ids=EQUIVALENT)
def test_an_equivalent_candidate_holds(world: World, change: Callable[[Any], None]) -> None:
    world.spoil_network(change)
    results = world.run("plain", ("id",))
    assert results.pop("report") == "whole"
    assert set(results.values()) == {"holds"}, results


def _features(world: World, recipe: str, folder: Path, **settings: Any) -> np.ndarray:
    world.cache = folder
    world.settings = settings
    session = GateSession.open(world.options(recipe))
    (model,), (candidate,) = session.plan.models, session.plan.recipes
    pair = session.engine.pair(model, candidate, session.data.task("id"))
    return pair.candidate.part.image


@pytest.mark.parametrize(("recipe", "tolerance"), [("fp32", FP32_TOLERANCE), ("plain", QUANTIZED_TOLERANCE)])
@pytest.mark.parametrize("setting", ["batches of 7", *(["two threads"] if LONG else [])])
def test_batch_size_and_threads_move_features_within_a_tolerance_and_answers_hardly(
    world: World, recipe: str, tolerance: float, setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = _features(world, recipe, tmp_path / "first", limit=64)
    if setting == "batches of 7":
        monkeypatch.setattr("reliability.evaluate.running.candidates.embed_images", _in_batches_of(7))
    second = _features(world, recipe, tmp_path / "second", limit=64, threads=2 if setting == "two threads" else 1)
    assert np.abs(first - second).max() <= tolerance * np.abs(first).max()


def _in_batches_of(size: int) -> Callable[..., Any]:
    def embedded(*arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embed, "BATCH", size)
            return embed.embed_images(*arguments)

    return embedded
