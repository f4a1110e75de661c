from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError, UsageError
from reliability.models.openclip import load_model
from reliability.models.spec import parse_model
from reliability.quant.affine import Grid
from reliability.quant.coverage import coverage
from reliability.quant.methods.pipeline import add_structure
from reliability.quant.methods.repq import ChannelRangeObserver, channel_changes, reparametrize
from reliability.quant.methods.workbench import Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.range_setting import observe
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.towers import encode

READERS = [
    f"{prefix}transformer.resblocks.{block}.{layer}"
    for prefix in ("visual.", "")
    for block in (0, 1)
    for layer in ("attn.q_proj", "mlp.c_fc")
] + ["visual.proj.linear", "text_projection.linear"]


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def changed(clip: nn.Module, name: str, data: RangeData) -> tuple[nn.Module, nn.Module]:
    """A model after surgery, and the same reparametrized, both in float."""
    explicit = split_attention(copy.deepcopy(clip).eval()).requires_grad_(False)
    model, recipe = copy.deepcopy(explicit), parse_recipe(name)
    add_structure(model, recipe)
    reparametrize(Workbench(model, explicit, recipe, data, lambda _: None))
    return explicit, model


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def image_error(clip: nn.Module, name: str, data: RangeData) -> float:
    before, after = (embeddings(model, data)[0] for model in (clip, prepare(clip, small(name), data)))
    return float((after - before).norm() / before.norm())


def test_channel_ranges_by_hand() -> None:
    low, high = torch.tensor([0.0, -10.0, 4.0]), torch.tensor([15.0, 35.0, 4.0])
    stretch, shift = channel_changes(low, high, Grid(4, symmetric=False))
    # Scales 1 and 3, so 2 in common; zero points 0 and 3.33, so 1.67 and rounded 2 in common.
    assert stretch.tolist() == pytest.approx([0.5, 1.5, 1.0])
    assert shift.tolist() == pytest.approx([-2.0, 4.0, -4.0])
    assert ((low + shift) / stretch).tolist() == pytest.approx([-4.0, -4.0, 0.0])
    assert ((high + shift) / stretch).tolist() == pytest.approx([26.0, 26.0, 0.0])


def test_channels_that_never_vary_become_zero() -> None:
    value = torch.tensor([2.0, -3.0])
    stretch, shift = channel_changes(value, value, Grid(4, symmetric=False))
    assert stretch.tolist() == [1.0, 1.0]
    assert (value + shift).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("towers", ["", "-text", "-both"])
def test_reparametrization_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, towers: str) -> None:
    explicit, model = changed(vit, f"w4a4-repq{towers}", small_data)
    check_parity(explicit, model, small_data.images, small_data.tokens)
    norm = "transformer.resblocks.0.ln_1.weight" if towers else "visual.transformer.resblocks.0.ln_1.weight"
    assert not torch.allclose(explicit.get_parameter(norm), model.get_parameter(norm))


def test_reparametrization_is_exact_on_the_embedded_model() -> None:
    clip = load_model(parse_model("zoo:scenes-clean"))
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texts = clip.tokenizer(["a photo of a star", "a red square on sand"] * 8)
    explicit, model = changed(clip.clip, "w4a4-repq-both", RangeData(images, texts))
    check_parity(explicit, model, images, texts)


def test_all_channels_span_one_grid_afterwards(vit: nn.Module, small_data: RangeData) -> None:
    _, model = changed(vit, "w4a4-repq-both", small_data)
    observers = observe(model, parse_recipe("w4a4-repq-both"), small_data, ChannelRangeObserver, READERS)
    prepared = prepare(vit, small("w4a4-repq-both"), small_data)
    for name, observer in observers.items():
        low, high = observer.result()
        step = (high - low).mean() / 15
        assert float(low.std()) < 1e-3 * float(step), name
        assert float(high.std()) < 1e-3 * float(step), name
        zero_point = -low.mean() / step
        assert float(zero_point) == pytest.approx(float(zero_point.round()), abs=1e-2), name
        quantizer = prepared.get_submodule(name).activation
        assert isinstance(quantizer, StaticQuantizer)
        assert float(quantizer.scale) == pytest.approx(float(step), rel=1e-3), name


def test_uneven_channels_lose_less(vit: nn.Module, small_data: RangeData) -> None:
    clip: Any = copy.deepcopy(vit)
    for block in clip.visual.transformer.resblocks:
        for norm, weight in ((block.ln_1, block.attn.in_proj_weight), (block.ln_2, block.mlp.c_fc.weight)):
            norm.weight.data[3] *= 30
            norm.bias.data[3] *= 30
            weight.data[:, 3] /= 30
    assert image_error(clip, "w8a4-repq", small_data) < 0.7 * image_error(clip, "w8a4-minmax", small_data)


@pytest.mark.parametrize("name", ["w4a8-repq-both", "w4a4-repq+percentile", "w4a4_asym-repq-text"])
def test_a_skeleton_restores_it_bit_for_bit(vit: nn.Module, small_data: RangeData, name: str) -> None:
    prepared, again, restored = (
        prepare(vit, small(name), small_data), prepare(vit, small(name), small_data), skeleton(vit, small(name))
    )  # fmt: skip
    restored.load_state_dict(prepared.state_dict())
    for model in (again, restored):
        for expected, got in zip(embeddings(prepared, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)
    recipe = parse_recipe(name)
    assert coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers).complete


@pytest.mark.parametrize(
    "name",
    [
        "w4a4-repq+smoothquant",
        "w4a4-smoothquant+repq",
        "w4a4-repq+hadamard",
        "w4a4-repq+dynamic",
        "w4a16-repq",
        "fp8-repq",
    ],
)
def test_senseless_neighbours_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        parse_recipe(name)


def test_a_resnet_is_refused(resnet: nn.Module) -> None:
    with pytest.raises(QuantizationError, match=r"LayerNorms[\s\S]*vision tower"):
        add_structure(split_attention(copy.deepcopy(resnet)), parse_recipe("w4a4-repq"))
