from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.explicit import Projection, SplitAttention
from reliability.quant.prepare import RangeData
from reliability.quant.surgery import check_parity, split_attention
from reliability.torchvision_shim import ensure_torchvision_imports


def split(clip: nn.Module, towers: Any = "both") -> nn.Module:
    return split_attention(copy.deepcopy(clip), towers)


def masks(batch: int, heads: int, length: int) -> dict[str, Tensor | None]:
    blocked = torch.ones(length, length).triu(1).bool()
    additive = torch.zeros(length, length).masked_fill(blocked, -torch.inf)
    return {
        "none": None,
        "additive": additive,
        "boolean": blocked,
        "per head": additive.expand(batch * heads, length, length) + torch.randn(batch * heads, 1, 1),
    }


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mask", ["none", "additive", "boolean", "per head"])
def test_split_attention_equals_multihead_attention(batch_first: bool, mask: str) -> None:
    torch.manual_seed(0)
    stock = nn.MultiheadAttention(12, 3, batch_first=batch_first).eval()
    nn.init.normal_(stock.in_proj_bias)
    x = torch.randn(2, 5, 12) if batch_first else torch.randn(5, 2, 12)
    bias = masks(2, 3, 5)[mask]
    expected = stock(x, x, x, need_weights=False, attn_mask=bias)[0]
    torch.testing.assert_close(SplitAttention(stock)(x, x, x, attn_mask=bias)[0], expected, rtol=1e-5, atol=1e-6)


def test_split_attention_takes_keys_and_values_of_another_width() -> None:
    torch.manual_seed(0)
    stock = nn.MultiheadAttention(12, 3, kdim=7, vdim=7, batch_first=True).eval()
    q, kv = torch.randn(2, 3, 12), torch.randn(2, 5, 7)
    expected = stock(q, kv, kv, need_weights=False)[0]
    torch.testing.assert_close(SplitAttention(stock)(q, kv, kv)[0], expected, rtol=1e-5, atol=1e-6)


def test_attention_with_appended_keys_is_refused() -> None:
    with pytest.raises(QuantizationError, match="cannot be split"):
        SplitAttention(nn.MultiheadAttention(12, 3, add_bias_kv=True))


def test_surgery_keeps_the_function_and_leaves_the_original_alone(clip: nn.Module, data: RangeData) -> None:
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    after = split(clip)
    check_parity(clip, after, data.images, data.tokens)
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())


def test_no_product_stays_outside_linear_and_conv(clip: nn.Module, data: RangeData) -> None:
    before = coverage(clip, data.images[:1], data.tokens[:1])
    after = coverage(split(clip), data.images[:1], data.tokens[:1])
    assert before.hidden_macs > 0
    assert after.hidden_macs == 0
    assert after.attention_macs > 0


def test_no_multihead_attention_or_batch_norm_is_left(clip: nn.Module) -> None:
    left = [m for m in split(clip).modules() if isinstance(m, (nn.MultiheadAttention, nn.BatchNorm2d))]
    assert left == []


def test_projections_become_linears_that_are_called(vit: nn.Module, small_data: RangeData) -> None:
    after, calls = split(vit), []
    for owner, name in ((after.visual, "proj"), (after, "text_projection")):
        projection = getattr(owner, name)
        assert isinstance(projection, Projection)
        projection.linear.register_forward_hook(lambda *_, name=name: calls.append(name))
    after.encode_image(small_data.images[:2])
    after.encode_text(small_data.tokens[:2])
    assert calls == ["proj", "text_projection"]
    assert torch.equal(after.visual.proj.linear.weight, vit.visual.proj.T)


@pytest.mark.parametrize(("towers", "other"), [("vision", "text"), ("text", "image")])
def test_the_other_tower_stays_as_it_was(vit: nn.Module, small_data: RangeData, towers: str, other: str) -> None:
    after = split(vit, towers)
    inputs = small_data.tokens if other == "text" else small_data.images
    assert torch.equal(getattr(after, f"encode_{other}")(inputs), getattr(vit, f"encode_{other}")(inputs))
    changed = [n for n, m in after.named_modules() if isinstance(m, (SplitAttention, Projection))]
    assert changed
    assert all(name.startswith("visual.") == (towers == "vision") for name in changed)


@pytest.mark.parametrize(
    "name",
    ["visual.transformer.resblocks.0.attn.q_proj.bias", "visual.conv1.weight", "ln_final.weight"],
)
def test_parity_sees_a_small_fault_in_either_tower(vit: nn.Module, small_data: RangeData, name: str) -> None:
    after = split(vit)
    with torch.no_grad():
        after.get_parameter(name).view(-1)[0] += 0.01
    with pytest.raises(QuantizationError, match="differ by more than 1e-05"):
        check_parity(vit, after, small_data.images, small_data.tokens)


def test_parity_is_relative_to_small_outputs_too(vit: nn.Module, small_data: RangeData) -> None:
    small, wrong = copy.deepcopy(vit), split(vit)
    with torch.no_grad():
        small.visual.proj.mul_(1e-6)
        wrong.visual.proj.linear.weight.mul_(1.01e-6)
    with pytest.raises(QuantizationError, match="vision tower"):
        check_parity(small, wrong, small_data.images, small_data.tokens)


def test_parity_names_the_layer_where_the_float_model_overflows(vit: nn.Module, small_data: RangeData) -> None:
    broken = copy.deepcopy(vit)
    with torch.no_grad():
        broken.visual.transformer.resblocks[1].mlp.c_fc.weight.fill_(1e38)
        broken.visual.transformer.resblocks[1].ln_2.weight.fill_(1e6)
    with pytest.raises(QuantizationError, match=r"resblocks\.1\.mlp\.c_fc"):
        check_parity(broken, split(broken), small_data.images, small_data.tokens)


def test_a_real_vit_b_32_keeps_its_function() -> None:
    ensure_torchvision_imports()
    import open_clip

    clip = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[49406, 320, 1125, 49407, *[0] * 73]])
    after = split(clip)
    check_parity(clip, after, images, tokens)
    proof = coverage(after, images, tokens, "vision")
    assert proof.hidden_macs == 0
    # 49 patches x 3,072 x 768, 12 blocks of 12 x 768^2 on 50 tokens, one projection to 512.
    assert proof.float_macs == 49 * 3072 * 768 + 12 * 50 * 12 * 768**2 + 768 * 512
