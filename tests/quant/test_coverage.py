from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.recipe import parse_recipe

FORMATS = [
    "w4a8_t-minmax", "w4a8_g32-minmax", "w4a8_asym-minmax", "w2a8_g32_asym-minmax", "fp8-rtn", "fp8e5m2-dynamic",
    "mxfp8-rtn", "mxfp6_ceil-rtn", "mxfp4-rtn", "mxint8-rtn", "nvfp4-rtn",
]  # fmt: skip


@pytest.fixture(scope="module")
def quantized(vit: nn.Module, small_data: RangeData) -> nn.Module:
    return prepare(vit, replace(parse_recipe("w8a8-minmax-both"), range_images=24), small_data)


@pytest.fixture
def spoiled(quantized: nn.Module) -> Any:
    """A copy to plant faults in."""
    return copy.deepcopy(quantized)


@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-dynamic-both", "w4a16-minmax-text"])
def test_everything_runs_quantized(clip: nn.Module, data: RangeData, name: str) -> None:
    recipe = replace(parse_recipe(name), range_images=24)
    proof = coverage(prepare(clip, recipe, data), data.images[:1], data.tokens[:1])
    assert proof.share == 1.0
    assert proof.complete
    assert proof.float_macs == proof.hidden_macs == 0
    assert proof.attention_macs > 0


def test_counts_by_hand(vit: nn.Module, small_data: RangeData) -> None:
    recipe = replace(parse_recipe("w8a8-minmax"), range_images=24)
    proof = coverage(prepare(vit, recipe, small_data), small_data.images[:2], small_data.tokens[:2])
    per_image = 16 * 48 * 32 + 2 * 17 * 12 * 32**2 + 32 * 24
    assert proof.quantized_macs == 2 * per_image
    assert proof.attention_macs == 2 * 2 * 2 * 17 * 17 * 32


def test_a_layer_left_in_float_is_caught(spoiled: Any, small_data: RangeData) -> None:
    mlp = spoiled.visual.transformer.resblocks[1].mlp
    mlp.c_fc = nn.Linear(32, 128)
    proof = coverage(spoiled, small_data.images[:1], small_data.tokens[:1])
    assert proof.float_layers == ("visual.transformer.resblocks.1.mlp.c_fc",)
    assert proof.float_macs == 17 * 32 * 128
    assert proof.share < 1.0
    with pytest.raises(QuantizationError, match=r"left in float: visual\.transformer\.resblocks\.1\.mlp\.c_fc"):
        proof.require_complete("here")


def test_a_bare_projection_is_caught(vit: nn.Module, spoiled: Any, small_data: RangeData) -> None:
    del spoiled.visual.proj
    spoiled.visual.proj = vit.visual.proj
    proof = coverage(spoiled, small_data.images[:1], small_data.tokens[:1])
    assert proof.hidden_macs == 32 * 24
    assert not proof.complete


def test_stock_attention_is_caught_although_it_runs_fused(vit: nn.Module, spoiled: Any, small_data: RangeData) -> None:
    spoiled.visual.transformer.resblocks[0].attn = vit.visual.transformer.resblocks[0].attn
    proof = coverage(spoiled, small_data.images[:1], small_data.tokens[:1])
    assert proof.hidden_macs == 17 * 4 * 32**2
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_quantizer_without_a_range_is_caught(spoiled: Any, small_data: RangeData) -> None:
    spoiled.visual.conv1.activation.scale.fill_(torch.nan)
    proof = coverage(spoiled, small_data.images[:1], small_data.tokens[:1])
    assert proof.without_range == ("visual.conv1",)
    with pytest.raises(QuantizationError, match=r"without a range: visual\.conv1"):
        proof.require_complete("here")


@pytest.mark.parametrize("fault", [1.5, 1.01])
def test_weights_off_their_grid_are_caught(spoiled: Any, small_data: RangeData, fault: float) -> None:
    spoiled.visual.proj.linear.weight.mul_(fault)
    proof = coverage(spoiled, small_data.images[:1], small_data.tokens[:1])
    assert proof.off_grid == ("visual.proj.linear",)
    with pytest.raises(QuantizationError, match=r"off their grid: visual\.proj\.linear"):
        proof.require_complete("here")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_proved_and_a_weight_off_its_grid_caught(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    model: Any = prepare(vit, replace(parse_recipe(name), range_images=24), small_data)
    few = small_data.images[:1], small_data.tokens[:1]
    assert coverage(model, *few).complete
    for layer in ("visual.conv1", "visual.transformer.resblocks.1.mlp.c_proj"):
        weight = model.get_submodule(layer).weight
        before = weight.clone()
        # One weight between two neighbours: a third of the way from the largest one to 0 fits no format.
        largest = weight.abs().argmax()
        weight.view(-1)[largest] *= 0.687
        assert coverage(model, *few).off_grid == (layer,)
        weight.copy_(before)
    assert coverage(model, *few).complete


@pytest.mark.parametrize("name", ["mxfp4-rtn", "nvfp4-rtn"])
def test_a_scale_that_its_format_cannot_store_is_caught(vit: nn.Module, small_data: RangeData, name: str) -> None:
    model: Any = prepare(vit, replace(parse_recipe(name), range_images=24), small_data)
    projection = model.visual.proj.linear
    projection.weight.mul_(1.04)
    projection.weight_scale.mul_(1.04)
    assert coverage(model, small_data.images[:1], small_data.tokens[:1]).off_grid == ("visual.proj.linear",)


def test_a_float_model_has_no_share(vit: nn.Module, small_data: RangeData) -> None:
    proof = coverage(vit, small_data.images[:1], small_data.tokens[:1])
    assert proof.share == 0.0
    assert not proof.complete
