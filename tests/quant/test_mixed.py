from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from reliability.errors import UsageError
from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import integer_format, weight_format, with_width
from reliability.quant.layers import QuantLayer, insert_quantizers
from reliability.quant.methods import mixed, registry
from reliability.quant.methods.allocation import Choice, allocate
from reliability.quant.methods.mixed import MixedSettings, bits_per_weight, sensitivities
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe
from reliability.quant.surgery import split_attention
from reliability.quant.towers import encode, gemm_layers

QUICK = MixedSettings(widths=(2, 3, 4, 8), pairs=8)
ITEM = st.lists(st.builds(Choice, st.integers(1, 60), st.integers(0, 40).map(float)), min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LAYER_METHODS, "mixed", partial(mixed.apply, settings=QUICK))


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=QatSettings(steps=2, batch=8)) if recipe.qat else recipe


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def quantized(clip: nn.Module) -> dict[str, QuantLayer]:
    return {name: layer for name, layer in gemm_layers(clip, "both").items() if hasattr(layer, "weight_bits")}  # type: ignore[misc]


def stored(clip: nn.Module) -> int:
    return sum(layer.format.storage_bits(layer.weight.shape) for layer in quantized(clip).values())


@given(st.lists(ITEM, min_size=1, max_size=5), st.integers(0, 120))
def test_the_allocation_is_the_best_of_all(items: list[list[Choice]], extra: int) -> None:
    budget = sum(min(choice.size for choice in item) for item in items) + extra
    fitting = [picks for picks in product(*items) if sum(pick.size for pick in picks) <= budget]
    best = min(sum(pick.error for pick in picks) for picks in fitting)
    picked = [item[number] for item, number in zip(items, allocate(items, budget), strict=True)]
    assert sum(pick.size for pick in picked) <= budget
    assert sum(pick.error for pick in picked) == best


def test_a_budget_that_nothing_fits_into_is_an_error() -> None:
    with pytest.raises(ValueError, match="take 5, which exceeds the budget of 4"):
        allocate([[Choice(2, 1.0)], [Choice(3, 1.0), Choice(9, 0.0)]], 4)


def test_many_layers_are_allocated_exactly() -> None:
    # The errors fall fourfold with each bit, so the optimum equalises what a further bit would gain.
    items = [[Choice(bits * 1000, weight * 4.0**-bits) for bits in range(2, 9)] for weight in range(1, 201)]
    picked = allocate(items, 200 * 4 * 1000)
    assert sum(item[number].size for item, number in zip(items, picked, strict=True)) == 200 * 4 * 1000
    assert picked == sorted(picked)
    chosen = list(zip(items, picked, strict=True))
    gains = [item[number].error - item[number + 1].error for item, number in chosen if number < 6]
    losses = [item[number - 1].error - item[number].error for item, number in chosen if number > 0]
    assert max(gains) <= min(losses)


@pytest.mark.parametrize("symmetric", [True, False])
def test_another_width_is_the_format_of_that_width(symmetric: bool) -> None:
    for unit in ("tensor", "channel", 32):
        form = integer_format(4, unit, symmetric)  # type: ignore[arg-type]
        assert with_width(form, 7) == integer_format(7, unit, symmetric)  # type: ignore[arg-type]


def test_sensitivities_are_the_error_of_one_rounded_layer(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a16-mixed-both")
    explicit = split_attention(copy.deepcopy(vit)).requires_grad_(False)
    model = copy.deepcopy(explicit)
    layers = insert_quantizers(model, recipe)
    before = {key: value.clone() for key, value in explicit.state_dict().items()}
    found = sensitivities(LayerBench(model, explicit, recipe, small_data, lambda _: None, layers, explicit), QUICK)
    assert list(found) == list(layers)
    assert all(torch.equal(value, before[key]) for key, value in explicit.state_dict().items())
    name = "transformer.resblocks.1.mlp.c_fc"
    changed = copy.deepcopy(explicit)
    weight = changed.get_parameter(f"{name}.weight")
    with torch.no_grad():
        weight.copy_(integer_format(2).snap(weight, integer_format(2).scales(weight)))
        one, other = (nn.functional.normalize(m.encode_text(small_data.tokens[:8]), dim=1) for m in (explicit, changed))  # type: ignore[operator]
    assert found[name][0] == pytest.approx(float((one - other).square().sum(dim=1).mean()), rel=1e-4)
    assert all(errors[0] > errors[2] > errors[3] > 0 for errors in found.values())


@pytest.mark.parametrize("name", ["w4a8-mixed-both", "w4a16_g32_asym-mixed", "w3a8_t-mixed-text"])
def test_the_size_is_that_of_the_uniform_width_and_the_error_is_less(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    recipe = small(name)
    prepared, uniform = prepare(vit, recipe, small_data), prepare(vit, small(name.replace("mixed", "rtn")), small_data)
    layers = quantized(prepared)
    nominal = weight_format(recipe)
    budget = sum(nominal.storage_bits(layer.weight.shape) for layer in layers.values())
    assert 0.9 * budget < stored(prepared) <= budget
    assert bits_per_weight(layers) == stored(prepared) / sum(layer.weight.numel() for layer in layers.values())
    widths = {int(layer.get_buffer("weight_bits")) for layer in layers.values()}
    assert len(widths) > 1
    assert widths <= {2, 3, 4, 8}
    proof = coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers)
    assert proof.complete
    errors = []
    for model in (prepared, uniform):
        pairs = zip(embeddings(vit, small_data), embeddings(model, small_data), strict=True)
        errors.append(sum(float((a - b).square().sum() / a.square().sum()) for a, b in pairs))
    assert errors[0] < errors[1]


@pytest.mark.parametrize("name", ["w4a8-mixed", "w4a8_g32_asym-hadamard+mixed+gptq", "w4a4-mixed+lsqw"])
def test_widths_are_state_and_restored_without_data(vit: nn.Module, small_data: RangeData, name: str) -> None:
    recipe = small(name)
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    assert {layer.format.values.bits for layer in quantized(restored).values()} == {4}
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        assert all(
            ours.format == theirs.format
            for ours, theirs in zip(quantized(model).values(), quantized(first).values(), strict=True)
        )
        for expected, got in zip(embeddings(first, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)
    assert coverage(restored, small_data.images[:1], small_data.tokens[:1], "vision").complete
    copied = copy.deepcopy(restored)
    copied.load_state_dict(skeleton(vit, recipe).state_dict())
    assert {layer.format.values.bits for layer in quantized(copied).values()} == {4}
    assert len({layer.format.values.bits for layer in quantized(restored).values()}) > 1


def test_a_claimed_width_that_is_too_small_is_off_the_grid(vit: nn.Module, small_data: RangeData) -> None:
    prepared = prepare(vit, small("w4a8-mixed"), small_data)
    wide = next(name for name, layer in quantized(prepared).items() if layer.format.values.bits == 8)
    state = prepared.state_dict()
    state[f"{wide}.weight_bits"] = torch.tensor(2)
    restored = skeleton(vit, small("w4a8-mixed"))
    restored.load_state_dict(state)
    assert wide in coverage(restored, small_data.images[:1], small_data.tokens[:1], "vision").off_grid


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mxfp4-mixed", "integer codes"),
        ("w4a16-awq+mixed", "at one width"),
        ("w4a8-mixed+noise", "ends in float"),
        ("w4a8-gptq+mixed", "order in which they run"),
    ],
)
def test_senseless_names_are_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(name)
