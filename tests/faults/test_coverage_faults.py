"""What does not run as its recipe declares is broken, or a named error; nothing of it passes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reliability.claims.judge import judge
from reliability.claims.reader import load_thresholds
from reliability.data.registry import open_data
from reliability.errors import ModelError, QuantizationError
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.models.spec import parse_model
from reliability.quant.explicit import FusedProducts
from reliability.quant.recipe import Recipe, parse_recipe

Fault = Callable[[Any], None]
MODEL = parse_model("zoo:scenes-clean")
RECIPE = "w8a8-minmax+attention+embeddings"
LAYER = "visual.transformer.resblocks.1.mlp.c_fc"
THRESHOLDS = load_thresholds(Path(__file__).resolve().parents[2] / "thresholds" / "embedded.toml")


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("coverage-faults")


@pytest.fixture
def spoil_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Plant a fault between what was prepared and what is run."""
    from reliability.evaluate.candidates import Candidates

    sound = Candidates.network

    def spoil(fault: Fault) -> None:
        def network(self: Any, *arguments: Any) -> Any:
            clip = copy.deepcopy(sound(self, *arguments))
            with torch.no_grad():
                fault(clip)
            return clip

        monkeypatch.setattr(Candidates, "network", network)

    return spoil


@pytest.fixture
def spoil_preparation(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Plant a fault into what preparation hands on, which is then stored."""
    from reliability.evaluate import candidates

    sound = candidates.prepare

    def spoil(fault: Fault) -> None:
        def prepare(*arguments: Any) -> Any:
            clip = sound(*arguments)
            with torch.no_grad():
                fault(clip)
            return clip

        monkeypatch.setattr(candidates, "prepare", prepare)

    return spoil


def few(recipe: str) -> Recipe:
    """A recipe that sets its ranges on few pairs, for speed."""
    found = parse_recipe(recipe)
    return found if found.is_float else replace(found, range_images=48)


def outcomes(root: Path, recipe: str = RECIPE) -> dict[str, str]:
    """Outcome of each of the embedded coverage gates, in a run from an empty cache."""
    engine = Engine(Cache(root), open_data("scenes", limit=40))
    pair = engine.pair(MODEL, few(recipe), engine.data.task("id"))
    bounds = THRESHOLDS.bounds_for("coverage", MODEL.name, recipe, "id")
    return {bound.metric: judge(bound, pair.harm(bound.metric, level=bound.level)).outcome for bound in bounds}


BROKEN = {"declared_share": "broken", "coverage_faults": "broken"}
"""A fault in something that multiplies."""


@pytest.mark.parametrize("recipe", [RECIPE, "w8a8-minmax", "fp32", "w4a16-rtn"])
def test_a_candidate_without_a_fault_holds(cache_root: Path, recipe: str) -> None:
    assert outcomes(cache_root / f"sound-{recipe}", recipe) == dict.fromkeys(BROKEN, "holds")


def _leave_a_layer_in_float(clip: Any) -> None:
    mlp, layer = clip.visual.transformer.resblocks[1].mlp, clip.get_submodule(LAYER)
    mlp.c_fc = nn.Linear(layer.in_features, layer.out_features)
    mlp.c_fc.weight.copy_(layer.weight)


def _leave_attention_in_float(clip: Any) -> None:
    clip.visual.transformer.resblocks[0].attn.products = FusedProducts()


def _pass_a_quantizer_by(clip: Any) -> None:
    layer = clip.get_submodule(LAYER)
    layer.forward = lambda x: nn.functional.linear(x, layer.weight, layer.bias)


@pytest.mark.parametrize("fault", [_leave_a_layer_in_float, _leave_attention_in_float, _pass_a_quantizer_by])
def test_a_product_that_does_not_run_quantized_is_broken(
    fault: Fault, cache_root: Path, spoil_network: Callable[[Fault], None]
) -> None:
    spoil_network(fault)
    assert outcomes(cache_root / fault.__name__) == BROKEN


def _add_a_layer_that_never_runs(clip: Any) -> None:
    clip.visual.spare = copy.deepcopy(clip.visual.proj.linear)


def test_a_quantized_layer_that_never_runs_is_broken(cache_root: Path, spoil_network: Callable[[Fault], None]) -> None:
    spoil_network(_add_a_layer_that_never_runs)
    # It multiplies nothing, so a share cannot see it.
    assert outcomes(cache_root / "idle") == BROKEN | {"declared_share": "holds"}


def _scale_a_layer(clip: Any) -> None:
    clip.get_submodule(LAYER).weight.mul_(1.01)


def _move_one_weight(clip: Any) -> None:
    layer = clip.get_submodule(LAYER)
    layer.weight[0, 0] += 0.3 * layer.weight_scale[0, 0]


@pytest.mark.parametrize("fault", [_scale_a_layer, _move_one_weight])
def test_weights_off_their_grid_after_preparation_are_broken(
    fault: Fault, cache_root: Path, spoil_preparation: Callable[[Fault], None]
) -> None:
    spoil_preparation(fault)
    assert outcomes(cache_root / fault.__name__) == BROKEN


def _move_a_table(clip: Any) -> None:
    clip.visual.positional_embedding.mul_(1.01)


def test_a_table_off_its_grid_is_broken(cache_root: Path, spoil_preparation: Callable[[Fault], None]) -> None:
    spoil_preparation(_move_a_table)
    assert outcomes(cache_root / "table") == BROKEN | {"declared_share": "holds"}


def _forget_a_range(clip: Any) -> None:
    clip.get_submodule(LAYER).activation.scale.fill_(torch.nan)


def test_a_range_that_is_lost_after_preparation_is_a_named_error(
    cache_root: Path, spoil_preparation: Callable[[Fault], None]
) -> None:
    spoil_preparation(_forget_a_range)
    with pytest.raises(ModelError, match="not finite"):
        outcomes(cache_root / "lost-range")
    engine = Engine(Cache(cache_root / "lost-range"), open_data("scenes", limit=40))
    faulty = {part.name: part.fault for part in engine.proof(MODEL, few(RECIPE)).faulty}
    assert faulty == {LAYER: "an observer never fired"}


def test_an_observer_that_never_fires_in_preparation_is_a_named_error(
    cache_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reliability.quant import range_setting

    observe = range_setting.observe

    def forgetful(clip: Any, recipe: Any, data: Any, make: Any, names: Any, **settings: Any) -> Any:
        found = observe(clip, recipe, data, make, [name for name in names if name != LAYER], **settings)
        return found | {LAYER: make(LAYER)}

    monkeypatch.setattr(range_setting, "observe", forgetful)
    with pytest.raises(QuantizationError, match="showed this layer no data") as caught:
        outcomes(cache_root / "silent")
    assert LAYER in caught.value.where


def test_a_layer_that_preparation_forgets_is_a_named_error(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reliability.quant import layers

    found = layers.gemm_layers
    monkeypatch.setattr(layers, "gemm_layers", lambda *args: {n: m for n, m in found(*args).items() if n != LAYER})
    with pytest.raises(QuantizationError, match=rf"left in float: {LAYER}"):
        outcomes(cache_root / "forgotten")
