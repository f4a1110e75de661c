"""How small a fault may be and still be caught, by the agreement that ships; the long form prints it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fault_world import HERE, World
from faults_of_numbers import HEAD

from reliability.claims.judge import judge
from reliability.claims.reader import load_thresholds
from reliability.quant.quantizers import StaticQuantizer
from reliability.session.gate import GateSession

LONG = bool(os.environ.get("RELIABILITY_LONG"))
PICTURES = 1000
THRESHOLDS = load_thresholds(HERE.parents[1] / "thresholds" / "embedded.toml")


def heads_of_a_block(block: int, clip: Any) -> None:
    """Two heads change places in the values of one block."""
    weight = clip.visual.transformer.resblocks[block].attn.v_proj.weight
    weight[: 2 * HEAD] = weight[: 2 * HEAD].roll(HEAD, dims=0).clone()


def channels_of_a_layer(layer: str, clip: Any) -> None:
    """The largest and the smallest output channel of one layer change places."""
    weight = clip.get_submodule(layer).weight
    size = weight.abs().flatten(1).sum(1)
    first, second = int(size.argmax()), int(size.argmin())
    weight[[first, second]] = weight[[second, first]].clone()


def scale_of_a_layer(factor: float, clip: Any) -> None:
    """One layer's weights and scales are too large by a factor."""
    layer = clip.visual.transformer.resblocks[1].mlp.c_fc
    layer.weight.mul_(factor)
    layer.weight_scale.mul_(factor)


def zero_points(codes: int, clip: Any) -> None:
    """Every input is off by some codes."""
    for module in clip.visual.modules():
        if isinstance(module, StaticQuantizer):
            module.register_forward_hook(lambda owner, _, out: out + codes * owner.scale)


def bias_of_a_layer(layer: str, clip: Any) -> None:
    """One layer loses its bias."""
    clip.get_submodule(layer).bias.zero_()


BLOCKS = "visual.transformer.resblocks"
LADDERS: dict[str, dict[str, Callable[[Any], None]]] = {
    "two heads of one block swapped": {f"block {b}": partial(heads_of_a_block, b) for b in range(4)},
    "two output channels of one layer swapped": {
        name: partial(channels_of_a_layer, name)
        for name in (f"{BLOCKS}.0.attn.v_proj", f"{BLOCKS}.0.mlp.c_fc", f"{BLOCKS}.3.mlp.c_proj", "visual.conv1")
    },
    "the scale of one layer too large": {f"{f:g} times": partial(scale_of_a_layer, f) for f in (1.1, 1.5, 2.0, 4.0)},
    "zero points of all layers off": {f"{c} codes": partial(zero_points, c) for c in (1, 2, 4, 8)},
    "the bias of one layer dropped": {
        name: partial(bias_of_a_layer, name) for name in (f"{BLOCKS}.0.mlp.c_fc", f"{BLOCKS}.3.mlp.c_proj")
    },
}
STEPS = [(ladder, step) for ladder, steps in LADDERS.items() for step in steps]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's features of more pictures than the table's."""
    return tmp_path_factory.mktemp("smallest")


@pytest.mark.skipif(not LONG, reason="part of the long form")
@pytest.mark.parametrize(("ladder", "step"), STEPS, ids=[f"{ladder}, {step}" for ladder, step in STEPS])
def test_a_small_fault_is_measured(
    world: World, ladder: str, step: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.settings["limit"] = PICTURES
    cache = world.cache
    world.cache = shared
    _flips(world)
    world.cache = cache
    for path in shared.rglob("*.bin"):
        (cache / path.parent.name).mkdir(exist_ok=True)
        (cache / path.parent.name / path.name).write_bytes(path.read_bytes())
    world.spoil_network(LADDERS[ladder][step])
    share, outcome = _flips(world, "plain")
    with capsys.disabled():
        print(f"\n| {ladder} | {step} | {share:.3f} | {outcome} |")
    assert share > 0


def _flips(world: World, recipe: str = "fp32") -> tuple[float, str]:
    session = GateSession.open(world.options(recipe))
    (model,), (candidate,) = session.plan.models, session.plan.recipes
    found = session.engine.pair(model, candidate, session.data.task("id")).harm("flip_rate")
    (bound,) = THRESHOLDS.bounds_for("agreement", "scenes-clean", "w8a8-minmax", "id")
    return found.candidate.estimate, judge(bound, found).outcome
