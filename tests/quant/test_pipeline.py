from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.methods import pipeline, registry
from reliability.quant.methods.registry import Transform
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe

# Name to the least mean cosine with the float model's embeddings; random weights forgive little.
FORMATS = {
    "w8a8_t-minmax-both": 0.99, "w4a8_g32-minmax-both": 0.97, "w4a16_g64-rtn-both": 0.96, "w4a8_asym-minmax-both": 0.96,
    "w4a8_g32_asym-minmax-both": 0.97, "fp8-rtn-both": 0.99, "fp8-dynamic-both": 0.99, "fp8e5m2-rtn-both": 0.98,
    "mxfp8-rtn-both": 0.99, "mxfp8_ceil-rtn-both": 0.99, "mxfp6-rtn-both": 0.99, "mxfp4-rtn-both": 0.9,
    "mxfp4_ceil-rtn-both": 0.9, "mxint8-rtn-both": 0.999, "nvfp4-rtn-both": 0.94,
    "w8a8-ema-both": 0.99, "w8a8-mse-both": 0.99, "w8a8-entropy-both": 0.8,
}  # fmt: skip


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=QatSettings(steps=2, batch=8)) if recipe.qat else recipe


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return clip.encode_image(data.images), clip.encode_text(data.tokens)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_embeds_close_to_the_original_and_is_restored_bit_for_bit(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    prepared, restored = prepare(vit, small(name), small_data), skeleton(vit, small(name))
    saved = {key: value.numpy().copy() for key, value in prepared.state_dict().items()}
    restored.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in saved.items()})
    originals, got, again = (embeddings(model, small_data) for model in (vit, prepared, restored))
    for original, one, other in zip(originals, got, again, strict=True):
        assert torch.equal(one, other)
        assert not torch.equal(one, original)
        assert float(F.cosine_similarity(original, one).mean()) > FORMATS[name]


@pytest.mark.parametrize("name", ["w4a8_g32_asym-minmax", "fp8-rtn", "mxfp4-rtn", "nvfp4-rtn"])
def test_convolutions_of_a_resnet_take_every_kind_of_format(resnet: nn.Module, tokens: Tensor, name: str) -> None:
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    original, got = embeddings(resnet, data)[0], embeddings(prepare(resnet, small(name), data), data)[0]
    assert float(F.cosine_similarity(original, got).mean()) > 0.85


@pytest.mark.parametrize(
    "name",
    ["w8a8-smoothquant+mse", "w4a4-smoothquant+ema+lsq", "w4a4_g32_asym-lsq", "mxfp4-smoothquant", "fp8-smoothquant"],
)
def test_stages_compose(vit: nn.Module, small_data: RangeData, name: str) -> None:
    prepared = prepare(vit, small(name), small_data)
    norm = "visual.transformer.resblocks.0.ln_1.weight"
    smoothed = not torch.allclose(prepared.get_parameter(norm), vit.get_parameter(norm), rtol=0.05)
    assert smoothed == ("smoothquant" in name)
    assert embeddings(prepared, small_data)[0].isfinite().all()


def test_ranges_are_set_on_the_transformed_model(vit: nn.Module, small_data: RangeData) -> None:
    layer = "visual.transformer.resblocks.0.mlp.c_fc"
    plain, smoothed = (
        prepare(vit, small(name), small_data).get_submodule(layer) for name in ("w8a8-minmax", "w8a8-smoothquant-a0.9")
    )
    assert isinstance(smoothed.activation, StaticQuantizer)
    assert float(smoothed.activation.scale) < 0.7 * float(plain.activation.scale)


def test_training_starts_from_the_transformed_weights(vit: nn.Module, small_data: RangeData) -> None:
    standing = QatSettings(steps=1, batch=8, learning_rate=1e-12, step_size_rate=1e-12)
    trained = prepare(vit, replace(small("w8a8-smoothquant+lsq"), qat=standing), small_data)
    smoothed = prepare(vit, small("w8a8-smoothquant"), small_data)
    expected = smoothed.state_dict()
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)


def with_transform(monkeypatch: pytest.MonkeyPatch, transform: Transform) -> Recipe:
    """A recipe whose transform was registered by one line."""
    monkeypatch.setitem(registry.TRANSFORMS, "turn", transform)
    return replace(small("w8a8-minmax"), method="turn")


class Factor(nn.Module):
    """A module that a transform puts in, with something to save."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def put_factor(model: Any, recipe: Recipe) -> None:
    del recipe
    norm = model.visual.ln_pre
    model.visual.ln_pre = nn.Sequential(norm, Factor())


def double_and_halve(bench: Workbench) -> None:
    visual: Any = bench.model.visual
    visual.ln_pre[0].weight.mul_(2)
    visual.ln_pre[0].bias.mul_(2)
    visual.ln_pre[1].factor.fill_(0.5)


def test_modules_that_a_transform_puts_in_are_restored(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    recipe = with_transform(monkeypatch, Transform(double_and_halve, put_factor))
    prepared, restored = prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(prepared.state_dict())
    assert float(restored.visual.ln_pre[1].factor) == 0.5
    plain = prepare(vit, small("w8a8-minmax"), small_data)
    for other in (restored, plain):
        assert torch.equal(embeddings(prepared, small_data)[0], embeddings(other, small_data)[0])


def test_a_transform_that_changes_the_function_is_refused(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    def turn(bench: Workbench) -> None:
        bench.model.visual.ln_pre.weight.mul_(1.001)  # type: ignore[union-attr, operator]

    with pytest.raises(QuantizationError, match=r"differ by more than 1e-05[\s\S]*vision tower"):
        prepare(vit, with_transform(monkeypatch, Transform(turn)), small_data)


def test_a_layer_method_sees_float_layers_beside_quantized_ones(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    seen: list[LayerBench] = []
    monkeypatch.setitem(pipeline.LAYER_METHODS, "look", seen.append)
    prepare(vit, replace(small("w4a8-minmax"), method="smoothquant+look", alpha=0.5), small_data)
    (bench,) = seen
    for name, layer in bench.layers.items():
        weight = bench.float_model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        assert bench.model.get_submodule(name) is layer
        assert torch.equal(layer.weight, layer.format.snap(weight, layer.format.scales(weight)))
