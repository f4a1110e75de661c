"""Faults planted into a real candidate must break gates; none may pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reliability.claims.reader import load_thresholds
from reliability.data.registry import open_data
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from reliability.stats.noninferiority import relation_outcome

Fault = Callable[[Any], None]
PICTURES = 600
THRESHOLDS = Path(__file__).resolve().parents[2] / "thresholds" / "embedded.toml"


def _weights_times_one_and_a_half(clip: Any) -> None:
    for name, parameter in clip.visual.state_dict().items():
        if name.endswith("weight") and parameter.ndim >= 2:
            parameter.mul_(1.5)


def _red_and_blue_swapped(clip: Any) -> None:
    weight = clip.visual.conv1.weight
    weight[:, [0, 2]] = weight[:, [2, 0]].clone()


def _two_channels_swapped(clip: Any) -> None:
    """Swap the largest and the smallest output channel of every layer, as a wrong packing would.

    In a single layer it goes unnoticed: swapping two of the patch embedding's 128
    channels changes about 1.5 % of the answers, less than the gate allows.
    """
    for name, weight in clip.visual.state_dict().items():
        if name.endswith("weight") and weight.ndim >= 2:
            size = weight.abs().flatten(1).sum(1)
            first, second = int(size.argmax()), int(size.argmin())
            weight[[first, second]] = weight[[second, first]].clone()


def _heads_of_the_last_block_swapped(clip: Any) -> None:
    weight = clip.visual.transformer.resblocks[-1].attn.v_proj.weight
    weight.copy_(weight.roll(32, dims=0))


FAULTS = {
    "weights times 1.5": _weights_times_one_and_a_half,
    "red and blue swapped": _red_and_blue_swapped,
    "two channels swapped": _two_channels_swapped,
    "heads swapped": _heads_of_the_last_block_swapped,
}


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("faults")


def _agreement_margin() -> float:
    bounds = load_thresholds(THRESHOLDS).bounds_for("agreement", "scenes-clean", "w8a8-minmax", "id")
    return bounds[0].margin


def _flip_outcome(cache_root: Any, name: str) -> str:
    """Outcome of the embedded agreement gate for a W8A8 candidate."""
    engine = Engine(Cache(cache_root / name), open_data("scenes", limit=PICTURES))
    pair = engine.pair(parse_model("zoo:scenes-clean"), parse_recipe("w8a8-minmax"), engine.data.task("id"))
    return relation_outcome("at_most", pair.harm("flip_rate").candidate, _agreement_margin())


def test_the_candidate_without_a_fault_holds(cache_root: Any) -> None:
    assert _flip_outcome(cache_root, "sound") == "holds"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_breaks_a_gate(fault: Fault, cache_root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from reliability.evaluate import candidates

    prepare = candidates.prepare

    def spoiled(*arguments: Any, **settings: Any) -> Any:
        clip = prepare(*arguments, **settings)
        with torch.no_grad():
            fault(clip)
        return clip

    monkeypatch.setattr(candidates, "prepare", spoiled)
    assert _flip_outcome(cache_root, fault.__name__) == "broken"
