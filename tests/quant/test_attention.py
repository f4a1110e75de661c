from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError, UsageError
from reliability.quant.attention import (
    FACTORS,
    ColumnBlocks,
    QuantProducts,
    TokenProducts,
    explicit_products,
    insert_product_quantizers,
)
from reliability.quant.coverage import coverage
from reliability.quant.explicit import FusedProducts
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.surgery import split_attention

KINDS = {
    "w8a8-minmax+attention-both": 0.99, "w8a8-dynamic+attention-both": 0.99, "fp8-attention-both": 0.98,
    "mxfp8-attention-both": 0.98, "mxint8-attention-both": 0.99, "nvfp4-attention-both": 0.9,
    "w4a8-percentile+attention+gptq-both": 0.9, "w8a8-hadamard+attention-text": 0.99,
}  # fmt: skip


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=replace(recipe.qat, steps=2, batch=8)) if recipe.qat else recipe


@torch.no_grad()
def embeddings(clip: Any, data: RangeData) -> tuple[Tensor, Tensor]:
    return clip.encode_image(data.images), clip.encode_text(data.tokens)


def heads(seed: int = 0, tokens: int = 5, batch: int = 2) -> list[Tensor]:
    """Queries, keys and values of three heads; keys have one loud token, values one loud channel."""
    torch.manual_seed(seed)
    q, k, v = (torch.randn(batch, 3, tokens, 4) for _ in range(3))
    k[:, :, 1] *= 20
    v[..., 2] *= 20
    return [q, k, v]


def causal(tokens: int = 5) -> Tensor:
    return torch.zeros(tokens, tokens).masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -torch.inf)


def dynamic(bits: int = 8) -> TokenProducts:
    clip = nn.Module()
    clip.visual = nn.Module()
    clip.visual.attn = split_attention_of(12, 3)
    insert_product_quantizers(clip, replace(parse_recipe("w8a8-dynamic+attention"), activation_bits=bits))
    products = clip.visual.attn.products
    assert isinstance(products, TokenProducts)
    return products


def split_attention_of(width: int, count: int) -> nn.Module:
    from reliability.quant.explicit import SplitAttention

    return SplitAttention(nn.MultiheadAttention(width, count, batch_first=True))


def per_token_codes(x: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Integer codes of each token and their scales, in plain arithmetic."""
    scale = x.abs().amax(-1, keepdim=True) / largest
    scale[scale == 0] = 1
    return (x / scale).round().long(), scale


@pytest.mark.parametrize("mask", ["none", "causal", "boolean"])
def test_products_spelled_out_are_the_fused_ones(mask: str) -> None:
    bias = {"none": None, "causal": causal(), "boolean": causal() == 0}[mask]
    spelled = QuantProducts(*(nn.Identity() for _ in FACTORS))
    expected = FusedProducts()(*heads(), bias)
    torch.testing.assert_close(spelled(*heads(), bias), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [None, causal()], ids=["open", "causal"])
def test_per_token_products_are_sums_of_integers(bias: Tensor | None) -> None:
    q, k, v = heads()
    (cq, sq), (ck, sk), (cv, sv) = (per_token_codes(x, 127) for x in (q, k, v))
    scores = (cq @ ck.mT).double() * (sq @ sk.mT) / 2.0
    probability = (scores if bias is None else scores + bias).softmax(-1)
    cp, sp = per_token_codes((probability * sv.mT).float(), 255)
    expected = (cp @ cv).double() * sp
    assert cp.min() >= 0
    torch.testing.assert_close(dynamic()(q, k, v, bias).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_static_probability_has_no_zero_point_and_every_code(vit: nn.Module, small_data: RangeData) -> None:
    products: Any = (
        prepare(vit, small("w8a8-minmax+attention"), small_data).visual.transformer.resblocks[0].attn.products
    )
    probability = products.probability
    assert float(probability.zero_point) == 0.0
    grid = torch.arange(256) * probability.scale
    torch.testing.assert_close(probability(grid), grid, rtol=0, atol=1e-7)
    assert float(probability(torch.tensor(0.0))) == 0.0
    assert 0 < float(grid[-1]) <= 1.0 + 1e-6


def test_a_dynamic_probability_uses_every_code_of_a_sign_less_grid() -> None:
    row = torch.arange(256.0) / 255
    assert torch.equal(dynamic().probability(row).unique(), dynamic().probability(row))
    assert len(dynamic(2).probability(row).unique()) == 4


def test_what_a_mask_blocks_stays_exactly_without_weight(vit: nn.Module, small_data: RangeData) -> None:
    for name in ("w8a8-minmax+attention-text", "w8a8-dynamic+attention-text"):
        model: Any = prepare(vit, small(name), small_data)
        products = model.transformer.resblocks[0].attn.products
        q, k, v = (torch.randn(1, 2, 8, 16) for _ in range(3))
        mask = causal(8)
        before = products(q, k, v, mask)
        k[:, :, 5:], v[:, :, 5:] = 100.0, -100.0
        assert torch.equal(products(q, k, v, mask)[:, :, :5], before[:, :, :5])


def test_per_token_values_are_told_apart_where_one_range_would_drown_them() -> None:
    q, k, v = heads()
    v[:, :, 3] *= 1e-3
    alone = torch.full((5, 5), -torch.inf).fill_diagonal_(0)
    half_a_step = v.abs().amax(-1, keepdim=True) / 127 / 2
    assert ((dynamic()(q, k, v, alone) - v).abs() <= 1.001 * half_a_step).all()


def test_blocks_of_values_lie_along_the_tokens_that_are_summed_over() -> None:
    model = prepare_products("mxfp4-attention")
    assert isinstance(model.value, ColumnBlocks)
    x = torch.ones(1, 1, 64, 4)
    x[:, :, :32, 0] = 100.0
    scales = model.value.parts(x)[1].scale
    assert scales.shape == (1, 1, 4, 2, 1)
    assert [float(scale) for scale in scales[0, 0, 0, :, 0]] == [16.0, 0.25]


def prepare_products(name: str) -> Any:
    clip = nn.Module()
    clip.visual = nn.Module()
    clip.visual.attn = split_attention_of(12, 3)
    insert_product_quantizers(clip, parse_recipe(name))
    return clip.visual.attn.products


@pytest.mark.parametrize("name", KINDS)
def test_attention_runs_quantized_close_to_the_original_and_is_restored_bit_for_bit(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    recipe = small(name)
    prepared, restored = prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(prepared.state_dict())
    for original, got, again in zip(*(embeddings(m, small_data) for m in (vit, prepared, restored)), strict=True):
        assert torch.equal(got, again)
        assert float(F.cosine_similarity(original, got).mean()) > KINDS[name]
    proof = coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers, recipe)
    assert proof.complete
    assert proof.attention_macs == 0


def test_attention_pooling_of_a_resnet_is_quantized_too(resnet: nn.Module, tokens: Tensor) -> None:
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    recipe = small("w8a8-minmax+attention")
    prepared = prepare(resnet, recipe, data)
    proof = coverage(prepared, data.images[:1], data.tokens[:1], "vision", recipe)
    assert proof.macs["visual.attnpool.products"] == 2 * 256 * 2
    assert proof.attention_macs == 0
    assert float(F.cosine_similarity(embeddings(resnet, data)[0], embeddings(prepared, data)[0]).mean()) > 0.99


def test_the_word_changes_only_the_products(vit: nn.Module, small_data: RangeData) -> None:
    plain, more = (
        prepare(vit, small(name), small_data).state_dict() for name in ("w8a8-minmax", "w8a8-minmax+attention")
    )
    added = set(more) - set(plain)
    assert len(added) == 2 * 4 * 2
    assert all(".attn.products." in name for name in added)
    # The activations that ranges were set on come from products that are spelled out, to the last bit or so.
    for name, value in plain.items():
        torch.testing.assert_close(more[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_surgery_alone_saves_nothing_new(vit: nn.Module) -> None:
    assert not [name for name in split_attention(copy.deepcopy(vit)).state_dict() if "products" in name]


def test_padding_cannot_widen_a_factor_of_attention(vit: nn.Module, small_data: RangeData) -> None:
    loud: Any = copy.deepcopy(vit)
    loud.token_embedding.weight.data[0] *= 1000
    scales = []
    for clip in (vit, loud):
        model: Any = prepare(clip, small("w8a8-minmax+attention-text"), small_data)
        products = model.transformer.resblocks[0].attn.products
        scales.append([float(getattr(products, factor).scale) for factor in FACTORS])
    assert scales[0] == pytest.approx(scales[1], rel=1e-4)


def test_ranges_of_the_factors_are_those_of_the_float_model(vit: nn.Module, small_data: RangeData) -> None:
    explicit: Any = split_attention(copy.deepcopy(vit), "vision")
    seen: list[Tensor] = []
    with explicit_products(explicit, "vision"), torch.no_grad():
        explicit.visual.transformer.resblocks[0].attn.products.key.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0])
        )
        explicit.encode_image(small_data.images)
    assert isinstance(explicit.visual.transformer.resblocks[0].attn.products, FusedProducts)
    model: Any = prepare(vit, small("w8a8-minmax+attention"), small_data)
    key = model.visual.transformer.resblocks[0].attn.products.key
    assert isinstance(key, StaticQuantizer)
    low, high = seen[0].aminmax()
    assert float(key.scale) == pytest.approx(float(high - low) / 255, rel=1e-5)


def test_training_goes_through_quantized_attention(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a4-minmax+attention+lsq")
    trained, still = prepare(vit, recipe, small_data), prepare(vit, small("w4a4-minmax+attention"), small_data)
    name = "visual.transformer.resblocks.0.attn.q_proj.weight"
    assert not torch.equal(trained.get_parameter(name), still.get_parameter(name))
    assert coverage(trained, small_data.images[:1], small_data.tokens[:1], "vision", recipe).complete


def test_a_tower_without_attention_is_refused() -> None:
    clip = nn.Module()
    clip.visual = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(QuantizationError, match="no attention whose products"):
        insert_product_quantizers(clip, parse_recipe("w8a8-attention"))


def test_attention_that_stays_in_float_although_the_recipe_names_it_is_caught(
    vit: nn.Module, small_data: RangeData
) -> None:
    recipe = small("w8a8-minmax+attention")
    model: Any = prepare(vit, recipe, small_data)
    model.visual.transformer.resblocks[1].attn.products = FusedProducts()
    proof = coverage(model, small_data.images[:1], small_data.tokens[:1], "vision", recipe)
    assert proof.attention_macs == 2 * 17 * 17 * 32
    with pytest.raises(QuantizationError, match="left in float: attention's own products"):
        proof.require_complete("here")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("w8a16-attention", "about quantizing them"),
        ("w8a8-attention+noise", "the control ends in float"),
        ("w8a8-attention+minmax", "order in which they run"),
        ("w8a8-attention+attention", "named twice"),
        ("fp32-attention", "quantizes nothing"),
    ],
)
def test_names_that_make_no_sense_are_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(name)


def test_the_order_of_extras_has_no_meaning() -> None:
    first, second = (
        parse_recipe(f"w8a8-minmax+{a}+{b}") for a, b in (("attention", "embeddings"), ("embeddings", "attention"))
    )
    assert first.identity == second.identity
    assert first.identity["also"] == "attention+embeddings"
    assert parse_recipe("w8a8-attention").identity != parse_recipe("w8a8-minmax").identity
