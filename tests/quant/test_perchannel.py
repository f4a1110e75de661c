from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import UsageError
from reliability.quant.coverage import coverage
from reliability.quant.methods.perchannel import ChannelScaled
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe

LAYERS = [nn.Linear(6, 4), nn.Conv2d(6, 4, 3, padding=1), nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 12, 1, groups=6)]


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=replace(recipe.qat, steps=2, batch=8)) if recipe.qat else recipe


@torch.no_grad()
def images(clip: Any, data: RangeData) -> Tensor:
    return clip.encode_image(data.images)


@pytest.mark.parametrize("layer", LAYERS, ids=["linear", "conv", "grouped", "depthwise"])
def test_folding_keeps_what_a_layer_computes(layer: nn.Linear | nn.Conv2d) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6) if isinstance(layer, nn.Linear) else torch.randn(2, 6, 8, 8)
    scaled = ChannelScaled(copy.deepcopy(layer))
    assert torch.equal(scaled(x), layer(x))
    scaled.fold(torch.tensor([1e-3, 0.1, 1.0, 3.0, 50.0, 2.0]))
    torch.testing.assert_close(scaled(x), layer(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(scaled.weight, layer.weight)


def test_every_channel_of_every_layer_then_fills_the_range(vit: nn.Module, small_data: RangeData) -> None:
    model = prepare(vit, small("w8a8-perchannel"), small_data)
    seen: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, ChannelScaled):
            module.layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    images(model, small_data)
    assert len(seen) == 1 + 2 * 6 + 1
    first = seen["visual.conv1"].movedim(1, -1).flatten(0, -2).abs().amax(0)
    torch.testing.assert_close(first, torch.ones(3), rtol=1e-6, atol=0)
    for name, x in seen.items():
        channels = x.movedim(1, -1) if x.ndim == 4 else x
        # Later layers see what quantized ones before them give, a little off the float model.
        amax = channels.flatten(0, -2).abs().amax(0)
        assert float(amax.median()) == pytest.approx(1, abs=0.1), name


def test_loud_channels_no_longer_drown_the_others(vit: nn.Module, small_data: RangeData) -> None:
    loud: Any = copy.deepcopy(vit)
    with torch.no_grad():
        for block in loud.visual.transformer.resblocks:
            block.mlp.c_fc.weight[3] *= 200
            block.mlp.c_proj.weight[:, 3] /= 200
    expected = images(loud, small_data)
    errors = {
        name: float((images(prepare(loud, small(name), small_data), small_data) - expected).norm())
        for name in ("w8a8-minmax", "w8a8-smoothquant", "w8a8-perchannel")
    }
    # No LayerNorm stands before mlp.c_proj, so smoothing cannot help it.
    assert errors["w8a8-perchannel"] < 0.5 * min(errors["w8a8-minmax"], errors["w8a8-smoothquant"])


@pytest.mark.parametrize(
    "name",
    ["w8a8-perchannel-both", "w8a8-perchannel+dynamic-both", "w4a8-perchannel+gptq+biascorr", "fp8-perchannel",
     "w4a4-hadamard+perchannel", "w4a4-perchannel+mse+lsq", "mxfp8-perchannel-both", "w8a8-perchannel+attention-both"],
)  # fmt: skip
def test_candidates_are_restored_bit_for_bit_and_proved(vit: nn.Module, small_data: RangeData, name: str) -> None:
    recipe = small(name)
    prepared, restored = prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(prepared.state_dict())
    assert torch.equal(images(prepared, small_data), images(restored, small_data))
    assert coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers, recipe).complete
    assert float(F.cosine_similarity(images(vit, small_data), images(prepared, small_data)).mean()) > 0.9


def test_convolutions_of_a_resnet_are_folded(resnet: nn.Module, tokens: Tensor) -> None:
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    prepared = prepare(resnet, small("w8a8-perchannel"), data)
    assert isinstance(prepared.get_submodule("visual.layer1.0.conv2"), ChannelScaled)
    assert float(F.cosine_similarity(images(resnet, data), images(prepared, data)).mean()) > 0.99


def test_a_channel_that_is_always_zero_stays_as_it_is(vit: nn.Module, small_data: RangeData) -> None:
    dead: Any = copy.deepcopy(vit)
    with torch.no_grad():
        dead.visual.transformer.resblocks[0].ln_1.weight[5] = 0
        dead.visual.transformer.resblocks[0].ln_1.bias[5] = 0
    model: Any = prepare(dead, small("w8a8-perchannel"), small_data)
    assert float(model.visual.transformer.resblocks[0].attn.q_proj.divisor[5]) == 1.0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("w8a8-smoothquant+perchannel", "takes up whatever smoothquant gave"),
        ("w8a8-perchannel+smoothquant", "would change the channels"),
        ("w8a8-perchannel+hadamard", "would change the channels"),
        ("w8a16-perchannel", "about quantizing them"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(name)
