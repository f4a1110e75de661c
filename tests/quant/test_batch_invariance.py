"""A per-token result does not depend on batch mates: bit for bit, in both towers, in both kinds of architecture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.attention import TokenProducts
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.quantizers import DynamicQuantizer
from reliability.quant.recipe import parse_recipe

RECIPES = ["w8a8-dynamic-both", "w4a4-dynamic+attention-both", "fp8-dynamic-both", "w8a8-perchannel+dynamic-both"]
TOWERS = ["image", "text"]


@pytest.fixture(params=RECIPES)
def candidate(request: pytest.FixtureRequest, clip: nn.Module, data: RangeData) -> Any:
    return prepare(clip, replace(parse_recipe(request.param), range_images=24), data)


def inputs(data: RangeData, tower: str) -> Tensor:
    return data.images if tower == "image" else data.tokens


def mates(x: Tensor) -> Tensor:
    """The same first input among others: pictures fifty times as loud, or other texts."""
    others = x.flip(0).clone()
    others[0] = x[0]
    if x.is_floating_point():
        others[1:] *= 50
    return others


@torch.no_grad()
@pytest.mark.parametrize("tower", TOWERS)
def test_an_embedding_has_the_same_bits_beside_any_mates(candidate: Any, data: RangeData, tower: str) -> None:
    encode, x = getattr(candidate, f"encode_{tower}"), inputs(data, tower)
    among_others = mates(x)
    assert not torch.equal(encode(x)[1:], encode(among_others)[1:])
    assert torch.equal(encode(x)[0], encode(among_others)[0])


@torch.no_grad()
@pytest.mark.parametrize("tower", TOWERS)
def test_an_embedding_has_the_same_bits_at_any_place_of_a_batch(candidate: Any, data: RangeData, tower: str) -> None:
    encode, x = getattr(candidate, f"encode_{tower}"), inputs(data, tower)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    assert torch.equal(encode(x)[order], encode(x[order]))


@torch.no_grad()
@pytest.mark.parametrize("tower", TOWERS)
def test_every_code_is_the_same_in_a_batch_of_any_size(candidate: Any, data: RangeData, tower: str) -> None:
    """Float products of another batch size may sum in another order, so codes are compared at equal inputs."""
    met: list[tuple[nn.Module, Tensor]] = []
    for module in candidate.modules():
        if isinstance(module, DynamicQuantizer):
            module.register_forward_pre_hook(lambda m, args: met.append((m, args[0])))
    getattr(candidate, f"encode_{tower}")(mates(inputs(data, tower)))
    found = list(met)
    layers = [m for m in candidate.modules() if isinstance(m, (QuantLinear, QuantConv2d, TokenProducts))]
    assert len(found) > len(layers) / 3
    for module, x in found:
        axis = 0 if x.shape[0] == len(data.images) else 1
        together = module(x)
        for size in (1, 2, 7):
            assert torch.equal(module(x.narrow(axis, 0, size)), together.narrow(axis, 0, size))


def test_a_per_tensor_scale_would_not_pass(vit: Any, small_data: RangeData) -> None:
    candidate: Any = prepare(vit, replace(parse_recipe("w8a8-dynamic"), range_images=24), small_data)
    for module in candidate.visual.modules():
        if isinstance(module, DynamicQuantizer):
            module.dims = (0, 1, 2) if module.dims == (-1,) else (0, 1, 2, 3)
    candidate.visual.proj.linear.activation.dims = (0, 1)
    with torch.no_grad():
        x = small_data.images
        assert not torch.equal(candidate.encode_image(x)[0], candidate.encode_image(mates(x))[0])


@torch.no_grad()
def test_later_words_cannot_move_a_bit_of_earlier_ones_through_a_causal_mask(
    vit: nn.Module, small_data: RangeData
) -> None:
    model: Any = prepare(vit, replace(parse_recipe("w4a4-dynamic+attention-text"), range_images=24), small_data)
    model.token_embedding.weight.data[7] *= 100
    words, loud = torch.tensor([[5, 9, 39, 0, 0, 0, 0, 0]]), torch.tensor([[5, 9, 39, 7, 7, 7, 7, 7]])
    assert torch.equal(model.encode_text(words), model.encode_text(loud))
