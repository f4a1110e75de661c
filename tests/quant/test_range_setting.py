from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.layers import insert_quantizers
from reliability.quant.observers import RangeObserver
from reliability.quant.prepare import RangeData
from reliability.quant.range_setting import RANGE_OBSERVERS, observe, set_static_ranges
from reliability.quant.recipe import SCHEMES, parse_recipe
from reliability.quant.surgery import split_attention
from reliability.quant.towers import gemm_layers, up_to_end_of_text

RECIPE = parse_recipe("w8a8-minmax-text")
STATIC = ["w4a4-minmax", "w4a4-ema", "w4a4-percentile", "w4a4-mse", "w4a4-entropy", "fp8-minmax", "fp8-mse", "fp8-ema"]


def text_ranges(clip: nn.Module, data: RangeData) -> dict[str, tuple[float, float]]:
    clip = split_attention(copy.deepcopy(clip), "text")
    names = gemm_layers(clip, "text")
    observers = observe(clip, RECIPE, data, RangeObserver, names)
    return {name: (low.item(), high.item()) for name, o in observers.items() for low, high in [o.result()]}


def test_positions_up_to_the_end_of_text_count(vit: nn.Module) -> None:
    tokens = torch.tensor([[5, 39, 0, 0], [7, 6, 5, 39]])
    keep = up_to_end_of_text(vit, tokens)
    assert keep is not None
    assert keep.tolist() == [[True, True, False, False], [True] * 4]


def test_every_position_counts_without_a_causal_mask(vit: nn.Module) -> None:
    clip = copy.deepcopy(vit)
    clip.attn_mask = None
    assert up_to_end_of_text(clip, torch.tensor([[5, 39, 0, 0]])) is None


def test_a_marked_end_of_text_is_found_by_its_number(vit: nn.Module) -> None:
    clip = copy.deepcopy(vit)
    clip.text_pool_type, clip.text_eos_id = "eos", 6
    keep = up_to_end_of_text(clip, torch.tensor([[9, 6, 12, 0]]))
    assert keep is not None
    assert keep.tolist() == [[True, True, False, False]]


def test_padding_cannot_widen_a_text_range(vit: nn.Module, small_data: RangeData) -> None:
    loud = copy.deepcopy(vit)
    with torch.no_grad():
        loud.token_embedding.weight[0] *= 1000
    expected, got = text_ranges(vit, small_data), text_ranges(loud, small_data)
    assert expected
    for name in expected:
        assert got[name] == pytest.approx(expected[name], rel=1e-5), name


def test_a_loud_word_does_widen_it(vit: nn.Module, small_data: RangeData) -> None:
    loud = copy.deepcopy(vit)
    with torch.no_grad():
        loud.token_embedding.weight[int(small_data.tokens[0, 0])] *= 1000
    expected, got = text_ranges(vit, small_data), text_ranges(loud, small_data)
    assert any(got[name] != pytest.approx(expected[name], rel=1e-2) for name in expected)


def test_ranges_are_what_the_layers_take_in(vit: nn.Module, small_data: RangeData) -> None:
    clip, recipe = split_attention(copy.deepcopy(vit)), parse_recipe("w8a8-minmax")
    observers = observe(clip, recipe, small_data, RangeObserver, ["visual.conv1"])
    low, high = observers["visual.conv1"].result()
    assert (low, high) == (small_data.images.min(), small_data.images.max())


@pytest.mark.parametrize("name", STATIC)
def test_every_range_setting_gives_every_layer_a_range(clip: nn.Module, data: RangeData, name: str) -> None:
    float_model, recipe = split_attention(copy.deepcopy(clip)), parse_recipe(name)
    layers = insert_quantizers(copy.deepcopy(float_model), recipe)
    set_static_ranges(float_model, layers, recipe, data)
    assert all(layer.activation.has_range for layer in layers.values())
    # A handful of values in one layer must not stand for the rest.
    assert len({float(layer.activation.scale) for layer in layers.values()}) > 0.5 * len(layers)


def test_every_range_setting_of_the_grammar_has_an_observer() -> None:
    ranges = {word for word, scheme in SCHEMES.items() if scheme.role == "ranges" and scheme.activation == "static"}
    assert ranges == set(RANGE_OBSERVERS)


def test_a_percentile_of_the_recipes_own_narrows_the_range(vit: nn.Module, small_data: RangeData) -> None:
    float_model = split_attention(copy.deepcopy(vit))
    scales = []
    for percentile in (90.0, 99.0, 99.99):
        recipe = replace(parse_recipe("w8a8-percentile"), percentile=percentile)
        layers = insert_quantizers(copy.deepcopy(float_model), recipe)
        set_static_ranges(float_model, layers, recipe, small_data)
        scales.append(float(layers["visual.conv1"].activation.scale))
    assert scales == sorted(scales)
    assert scales[0] < 0.7 * scales[-1]


def test_hooks_are_gone_afterwards_even_after_an_error(vit: nn.Module, small_data: RangeData) -> None:
    clip = split_attention(copy.deepcopy(vit))
    bad = replace(small_data, images=torch.full_like(small_data.images, torch.nan))
    with pytest.raises(QuantizationError, match=r"visual\.conv1"):
        observe(clip, parse_recipe("w8a8-minmax"), bad, RangeObserver, ["visual.conv1"])
    assert not any(module._forward_pre_hooks for module in clip.modules())
