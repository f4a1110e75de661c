from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import weight_format
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, put_weight
from reliability.quant.methods import adaround, registry
from reliability.quant.methods.adaround import AdaroundSettings, learn_roundings
from reliability.quant.methods.layer_inputs import moments, visit_layers
from reliability.quant.methods.soft_rounding import Pressure, neighbours, rectified_sigmoid, undecided
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.towers import encode

QUICK = AdaroundSettings(steps=100, rate=0.05)
FORMATS = [
    "w4a16-adaround",
    "w3a16_g32_asym-adaround",
    "w2a16_t-adaround",
    "mxfp4-adaround",
    "nvfp4-adaround",
    "fp8-adaround",
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LAYER_METHODS, "adaround", partial(adaround.apply, settings=QUICK))


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def linear(name: str, seed: int = 0) -> tuple[QuantLayer, Tensor, Tensor]:
    """A quantized layer, its float weight and correlated inputs."""
    torch.manual_seed(seed)
    source = nn.Linear(40, 6)
    layer = QuantLinear(source, weight_format(parse_recipe(name)), nn.Identity())
    return layer, source.weight.detach(), torch.randn(500, 8) @ torch.randn(8, 40) + 0.1 * torch.randn(500, 40)


def squared_error(x: Tensor, weight: Tensor, rounded: Tensor) -> float:
    return float((x.double() @ (weight - rounded).double().T).square().sum(dim=1).mean())


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def test_the_roundings_that_cancel_out_are_found_by_hand() -> None:
    # Two inputs that are always equal: 0.4 + 0.4 is best made of 0 and 1, where nearest gives 0 and 0.
    wanted, ones = torch.full((1, 1, 2), 0.4), torch.ones(1, 2, 2)
    wanted[0, 0, 0] = 0.45
    settings = AdaroundSettings(steps=500, rate=0.05)
    up = learn_roundings(wanted, torch.zeros(1, 1, 2), torch.ones(1, 1, 2), ones, settings)
    assert up.tolist() == [[[True, False]]]


def test_rectified_sigmoid_reaches_both_ends() -> None:
    assert rectified_sigmoid(torch.tensor([-9.0, 0.0, 9.0])).tolist() == pytest.approx([0, 0.5, 1])
    assert float(undecided(torch.tensor([0.25]), 20.0)) == pytest.approx(1 - 0.5**20)


def test_the_exponent_falls_from_flat_to_steep() -> None:
    exponents = [Pressure().exponent(step, 100) for step in range(100)]
    assert exponents[:20] == [None] * 20
    later = [exponent for exponent in exponents if exponent is not None]
    assert later[0] == 20
    assert later == sorted(later, reverse=True)
    assert later[-1] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", FORMATS)
def test_neighbours_lie_on_the_grid_around_every_weight(name: str) -> None:
    layer, weight, _ = linear(name)
    weight[0, :3] = 0.0
    scales = layer.format.scales(weight)
    put_weight(layer, weight, scales)
    lower, upper = neighbours(layer, weight)
    nearest = layer.format.snap(weight, scales)
    tolerance = 1e-5 * float(weight.abs().max())
    for side in (lower, upper):
        assert layer.format.steps_off(side, scales) < 1e-3
    assert bool(((nearest - lower).abs().minimum((nearest - upper).abs()) <= tolerance).all())
    inside = upper > lower
    assert float(inside.float().mean()) > 0.8
    assert bool((lower <= weight + tolerance)[inside].all())
    assert bool((upper >= weight - tolerance)[inside].all())


@pytest.mark.parametrize("name", FORMATS)
def test_a_layer_loses_less_than_by_rounding_to_nearest(name: str) -> None:
    layer, weight, x = linear(name)
    nearest = layer.weight.detach().clone()
    after, before = adaround.round_layer(layer, weight, moments(layer, x).products, QUICK)
    assert before == pytest.approx(squared_error(x, weight, nearest), rel=1e-4)
    assert after == pytest.approx(squared_error(x, weight, layer.weight.detach()), rel=1e-3)
    assert after < 0.7 * before
    lower, upper = neighbours(layer, weight)
    torch.testing.assert_close((layer.weight - lower) * (layer.weight - upper), torch.zeros_like(weight))


def test_a_grouped_convolution_loses_less_too() -> None:
    torch.manual_seed(0)
    source = nn.Conv2d(4, 6, 3, padding=1, groups=2)
    layer = QuantConv2d(source, weight_format(parse_recipe("w3a16-adaround")), nn.Identity())
    x = torch.randn(20, 4, 8, 8).cumsum(-1)
    after, before = adaround.round_layer(layer, source.weight.detach(), moments(layer, x).products, QUICK)
    with torch.no_grad():
        error = (layer(x) - source(x)).square().sum(dim=1).mean()
    assert after == pytest.approx(float(error), rel=1e-3)
    assert after < 0.6 * before


def test_weights_on_the_grid_stay() -> None:
    layer, _, x = linear("w4a16-adaround")
    on_grid = layer.weight.detach().clone()
    assert adaround.round_layer(layer, on_grid, moments(layer, x).products, QUICK) == (0.0, 0.0)
    assert torch.equal(layer.weight, on_grid)


@pytest.mark.parametrize("name", ["w4a8-adaround-both", "w4a4-hadamard+adaround"])
def test_every_layer_of_a_model_loses_less(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData, name: str
) -> None:
    errors: dict[str, tuple[float, float]] = {}

    def rounded(bench: LayerBench) -> None:
        def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
            weight = bench.float_model.get_parameter(f"{name}.weight")
            errors[name] = adaround.round_layer(layer, weight, moments(layer, x).products, QUICK)

        visit_layers(bench, visit)

    monkeypatch.setitem(registry.LAYER_METHODS, "adaround", rounded)
    prepare(vit, small(name), small_data)
    assert len(errors) == (27 if name.endswith("both") else 14)
    for layer, (after, before) in errors.items():
        # Channels of noise are not correlated, which leaves the patch embedding little to gain.
        assert after < (0.95 if layer.endswith("conv1") else 0.75) * before, layer


def test_embeddings_are_closer_than_by_rounding_to_nearest(vit: nn.Module, small_data: RangeData) -> None:
    expected = embeddings(vit, small_data)
    learned, nearest = (
        embeddings(prepare(vit, small(name), small_data), small_data)
        for name in ("w3a8-adaround-both", "w3a8-rtn-both")
    )
    for wanted, ours, theirs in zip(expected, learned, nearest, strict=True):
        assert float((ours - wanted).norm()) < 0.9 * float((theirs - wanted).norm())


def test_it_is_repeatable_complete_and_restored_bit_for_bit(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a8-smoothquant+adaround")
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        for expected, got in zip(embeddings(first, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)
    assert coverage(first, small_data.images[:1], small_data.tokens[:1], "vision").complete


def test_convolutions_of_a_resnet_are_rounded(
    monkeypatch: pytest.MonkeyPatch, resnet: nn.Module, tokens: Tensor
) -> None:
    few = partial(adaround.apply, settings=AdaroundSettings(steps=20, rate=0.1))
    monkeypatch.setitem(registry.LAYER_METHODS, "adaround", few)
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    lines: list[str] = []
    prepare(copy.deepcopy(resnet), small("w4a8-adaround"), data, lines.append)
    assert any("output error 0." in line for line in lines)
