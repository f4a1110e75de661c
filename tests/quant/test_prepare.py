from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import FP32, QatSettings, Recipe, parse_recipe
from reliability.quant.towers import gemm_layers

EVERY_KIND = [
    "w8a8-minmax",
    "w8a8-minmax-both",
    "w6a8-percentile-both",
    "w4a8-dynamic-both",
    "w4a16-minmax-text",
    "w4a4-lsq",
]
FINE = 0.999


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=QatSettings(steps=2, batch=8)) if recipe.qat else recipe


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return clip.encode_image(data.images), clip.encode_text(data.tokens)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_skeleton_restores_a_prepared_model_bit_for_bit(clip: nn.Module, data: RangeData, name: str) -> None:
    recipe = small(name)
    prepared = prepare(clip, recipe, data)
    saved = {key: value.numpy().copy() for key, value in prepared.state_dict().items()}
    restored = skeleton(clip, recipe)
    restored.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in saved.items()})
    for expected, got in zip(embeddings(prepared, data), embeddings(restored, data), strict=True):
        assert torch.equal(expected, got)
    assert not restored.training


def test_a_skeleton_restores_smoothed_norms_too(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w8a8-smoothquant-both")
    prepared, restored = prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(prepared.state_dict())
    for expected, got in zip(embeddings(prepared, small_data), embeddings(restored, small_data), strict=True):
        assert torch.equal(expected, got)


def test_an_unloaded_skeleton_cannot_pass_for_a_model(vit: nn.Module, small_data: RangeData) -> None:
    assert skeleton(vit, small("w8a8-minmax")).encode_image(small_data.images).isnan().all()


@pytest.mark.parametrize("name", ["w8a8-minmax-both", "w8a8-percentile-both", "w8a8-dynamic-both", "w8a16-minmax-both"])
def test_eight_bits_stay_close_and_are_not_the_original(clip: nn.Module, data: RangeData, name: str) -> None:
    prepared = prepare(clip, small(name), data)
    for expected, got in zip(embeddings(clip, data), embeddings(prepared, data), strict=True):
        assert float(F.cosine_similarity(expected, got).mean()) > FINE
        assert not torch.equal(expected, got)
        # A cosine cannot see a wrong scale.
        assert float(got.norm() / expected.norm()) == pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_fewer_bits_are_worse(vit: nn.Module, small_data: RangeData) -> None:
    reference = vit.encode_image(small_data.images)
    errors = [
        float((prepare(vit, small(name), small_data).encode_image(small_data.images) - reference).norm())
        for name in ("w8a8-minmax", "w6a8-minmax", "w4a8-minmax", "w4a4-minmax", "w2a2-minmax")
    ]
    assert errors == sorted(errors)


def test_preparing_twice_gives_the_same_bits(vit: nn.Module, small_data: RangeData) -> None:
    first, second = (prepare(vit, small("w4a8-percentile"), small_data).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fp32_is_a_plain_copy(clip: nn.Module, data: RangeData) -> None:
    copied = prepare(clip, FP32, RangeData(data.images[:0], data.tokens[:0]))
    assert copied is not clip
    assert copied.state_dict().keys() == clip.state_dict().keys()
    for expected, got in zip(embeddings(clip, data), embeddings(copied, data), strict=True):
        assert torch.equal(expected, got)
    assert skeleton(clip, FP32).state_dict().keys() == clip.state_dict().keys()


@pytest.mark.parametrize(("name", "same"), [("w4a4-minmax", 1), ("w4a4-minmax-text", 0)])
def test_only_the_named_tower_changes(vit: nn.Module, small_data: RangeData, name: str, same: int) -> None:
    before, after = embeddings(vit, small_data), embeddings(prepare(vit, small(name), small_data), small_data)
    assert torch.equal(before[same], after[same])
    assert not torch.equal(before[1 - same], after[1 - same])


def test_the_original_is_left_alone_even_in_training_mode(clip: nn.Module, data: RangeData) -> None:
    given = copy.deepcopy(clip).train()
    before = copy.deepcopy(given.state_dict())
    result = prepare(given, small("w8a8-minmax-both"), data)
    assert given.training
    assert not result.training
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert all(p.requires_grad for p in given.parameters())


def test_features_hardly_depend_on_the_batch(vit: nn.Module, small_data: RangeData) -> None:
    prepared = prepare(vit, small("w8a8-dynamic"), small_data)
    together = prepared.encode_image(small_data.images)
    alone = torch.cat([prepared.encode_image(image[None]) for image in small_data.images])
    # Codes are the same; float products of another batch size may differ in the last bit.
    torch.testing.assert_close(together, alone, rtol=0, atol=0.02 * float(together.abs().max()))


@torch.no_grad()
def test_dynamic_codes_of_every_layer_are_independent_of_the_batch(clip: nn.Module, data: RangeData) -> None:
    images = data.images[:3] * torch.tensor([1.0, 50.0, 0.1]).view(3, 1, 1, 1)
    inputs: dict[str, Tensor] = {}
    prepared = prepare(clip, small("w8a8-dynamic"), data)
    layers = gemm_layers(prepared, "vision")
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, x, name=name: inputs.update({name: x[0]}))
    prepared.encode_image(images)
    for name, layer in layers.items():
        together = layer.activation(inputs[name])
        assert all(torch.equal(together[i], layer.activation(inputs[name][i : i + 1])[0]) for i in range(3)), name


def test_too_few_pairs_are_refused(vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match=r"needs 25 image-caption pairs[\s\S]*24 images"):
        prepare(vit, replace(small("w8a8-minmax"), range_images=25), small_data)


def test_only_the_recipes_number_of_pairs_is_used(vit: nn.Module, small_data: RangeData) -> None:
    loud = RangeData(small_data.images.clone(), small_data.tokens)
    loud.images[10:] *= 50
    recipe = replace(small("w8a8-minmax"), range_images=10)
    scale = prepare(vit, recipe, loud).visual.conv1.activation.scale
    seen = small_data.images[:10]
    assert scale.item() == pytest.approx(float(seen.max() - seen.min()) / 255)


def test_a_weight_that_is_not_finite_is_named(vit: nn.Module, small_data: RangeData) -> None:
    broken: Any = copy.deepcopy(vit)
    broken.visual.conv1.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(QuantizationError, match=r"visual\.conv1\.weight"):
        prepare(broken, small("w8a8-minmax"), small_data)


def test_half_precision_is_refused(vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match="float32"):
        prepare(copy.deepcopy(vit).half(), small("w8a8-minmax"), small_data)


@pytest.mark.parametrize("bad", [0, 23])
def test_an_image_that_is_not_finite_is_found_at_the_first_layer(
    vit: nn.Module, small_data: RangeData, bad: int
) -> None:
    images = small_data.images.clone()
    images[bad, 0, 0, 0] = torch.inf
    with pytest.raises(QuantizationError, match=r"visual\.conv1"):
        prepare(vit, small("w8a8-minmax"), RangeData(images, small_data.tokens))


def test_a_structure_with_hidden_products_is_refused(packed_vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match="outside Linear and Conv2d"):
        prepare(packed_vit, small("w8a8-minmax"), small_data)


def test_a_layer_subclass_is_refused_by_name(vit: nn.Module, small_data: RangeData) -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    odd: Any = copy.deepcopy(vit)
    odd.visual.transformer.resblocks[0].mlp.c_fc.__class__ = Doubled
    with pytest.raises(QuantizationError, match=r"resblocks\.0\.mlp\.c_fc[\s\S]*Doubled"):
        prepare(odd, small("w8a8-minmax"), small_data)


def test_a_model_without_a_vision_tower_is_refused() -> None:
    with pytest.raises(QuantizationError, match="visual"):
        skeleton(nn.Linear(2, 2), small("w8a8-minmax"))


def test_an_unregistered_method_is_refused(vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match=r"magic[\s\S]*rtn, smoothquant, "):
        prepare(vit, replace(small("w8a8-minmax"), method="magic"), small_data)
