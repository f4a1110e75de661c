from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.methods.norm_pairs import find_pairs
from reliability.quant.methods.smoothquant import smooth, smoothing_scale
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import ChannelObserver
from reliability.quant.prepare import RangeData
from reliability.quant.range_setting import observe
from reliability.quant.recipe import parse_recipe
from reliability.quant.surgery import check_parity, split_attention

VIT_PAIRS = 2 * 2 + 1


def bench_for(clip: nn.Module, data: RangeData, name: str) -> Workbench:
    explicit = split_attention(copy.deepcopy(clip))
    return Workbench(copy.deepcopy(explicit), explicit, parse_recipe(name), data, lambda _: None)


def test_scale_by_hand() -> None:
    activations = torch.tensor([16.0, 4.0, 0.0, 9.0, 1e-12])
    weights = torch.tensor([4.0, 4.0, 2.0, 0.0, 1.0])
    scale = smoothing_scale(activations, weights, 0.5)
    assert scale.tolist() == pytest.approx([2.0, 1.0, 1.0, 1.0, 1e-5])
    assert smoothing_scale(activations[:1], weights[:1], 0.75).item() == pytest.approx(16**0.75 / 4**0.25)


@pytest.mark.parametrize("name", ["w8a8-smoothquant-both", "w8a8-smoothquant-a0.9-both", "w8a8-smoothquant-a0-both"])
def test_smoothing_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, name: str) -> None:
    bench = bench_for(vit, small_data, name)
    smooth(bench)
    check_parity(vit, bench.model, small_data.images, small_data.tokens)
    for layer in ("visual.ln_post", "ln_final", "visual.transformer.resblocks.1.ln_2"):
        changed, original = (m.get_submodule(layer).weight for m in (bench.model, bench.reference))
        assert not torch.allclose(changed, original, rtol=1e-2), layer


def test_half_smoothing_balances_activations_and_weights(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w8a8-smoothquant")
    smooth(bench)
    name = "visual.transformer.resblocks.0.mlp.c_fc"
    observer = observe(bench.model, bench.recipe, small_data, ChannelObserver, [name])[name]
    weight = bench.model.get_submodule(name).weight
    torch.testing.assert_close(observer.result(), weight.abs().amax(dim=0), rtol=1e-4, atol=1e-5)


def test_one_scale_serves_q_k_and_v(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w8a8-smoothquant")
    smooth(bench)
    block = "visual.transformer.resblocks.0"
    ratio = (m.get_submodule(f"{block}.ln_1").weight for m in (bench.reference, bench.model))
    scale = next(ratio) / next(ratio)
    for part in "qkv":
        before, after = (m.get_submodule(f"{block}.attn.{part}_proj").weight for m in (bench.reference, bench.model))
        torch.testing.assert_close(after, before * scale, rtol=1e-4, atol=1e-7)


def test_pairs_cover_the_blocks_and_the_projection(vit: nn.Module) -> None:
    clip = split_attention(copy.deepcopy(vit))
    assert len(find_pairs(clip, "vision")) == VIT_PAIRS
    assert len(find_pairs(clip, "text")) == VIT_PAIRS
    norms = {id(pair.norm) for pair in find_pairs(clip, "both")}
    assert id(clip.visual.ln_pre) not in norms
    assert len(norms) == 2 * VIT_PAIRS


def test_a_norm_with_a_second_reader_is_no_pair(vit: nn.Module) -> None:
    clip: Any = split_attention(copy.deepcopy(vit))
    clip.visual.output_tokens = True
    assert len(find_pairs(clip, "vision")) == VIT_PAIRS - 1


@pytest.mark.parametrize("name", ["w8a8-smoothquant", "w8a8-smoothquant-both"])
def test_a_tower_without_pairs_is_refused(resnet: nn.Module, small_data: RangeData, name: str) -> None:
    with pytest.raises(QuantizationError, match=r"LayerNorms[\s\S]*vision tower[\s\S]*minmax, percentile"):
        smooth(bench_for(resnet, small_data, name))
