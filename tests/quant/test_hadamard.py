from __future__ import annotations

import copy
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError, UsageError
from reliability.models.openclip import load_model
from reliability.models.spec import parse_model
from reliability.quant.coverage import coverage
from reliability.quant.methods.hadamard import rotate
from reliability.quant.methods.pipeline import add_structure
from reliability.quant.methods.rotation.matrices import factors, paley
from reliability.quant.methods.rotation.modules import RmsNorm, Rotation
from reliability.quant.methods.workbench import Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.towers import encode

VISION = {"image_size": 16, "layers": 2, "width": 32, "head_width": 16, "patch_size": 4}
TEXT = {"context_length": 8, "width": 32, "heads": 2, "layers": 2, "vocab_size": 40}
PLANTED = 60.0


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=QatSettings(steps=2, batch=8)) if recipe.qat else recipe


def rotated(clip: nn.Module, name: str = "w4a4-hadamard-both") -> tuple[nn.Module, nn.Module]:
    """A model after surgery, and the same with rotations, both in float."""
    explicit = split_attention(copy.deepcopy(clip).eval()).requires_grad_(False)
    model, recipe = copy.deepcopy(explicit), parse_recipe(name)
    add_structure(model, recipe)
    rotate(Workbench(model, explicit, recipe, RangeData(torch.empty(0), torch.empty(0)), lambda _: None))
    return explicit, model


def build(vision: dict[str, Any] = VISION, text: dict[str, Any] = TEXT) -> nn.Module:
    return runpy.run_path(str(Path(__file__).with_name("conftest.py")))["build_clip"](vision, text)  # type: ignore[no-any-return]


@torch.no_grad()
def error(clip: nn.Module, name: str, data: RangeData) -> float:
    """Relative error of image embeddings under a recipe."""
    models = clip, prepare(clip, small(name), data)
    before, after = (encode(model, "vision", data.images) for model in models)
    return float((after - before).norm() / before.norm())


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


@torch.no_grad()
def layer_inputs(clip: nn.Module, data: RangeData, names: list[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name in names:
        clip.get_submodule(name).register_forward_pre_hook(lambda _, x, name=name: found.update({name: x[0]}))
    embeddings(clip, data)
    return found


@pytest.fixture(scope="module")
def planted(vit: nn.Module) -> nn.Module:
    """A model with one huge channel in its streams, its MLPs and its values."""
    clip: Any = copy.deepcopy(vit)
    for transformer in (clip.visual.transformer, clip.transformer):
        transformer.resblocks[0].mlp.c_proj.bias.data[3] = PLANTED
        transformer.resblocks[1].mlp.c_fc.bias.data[5] = PLANTED
        transformer.resblocks[1].attn.in_proj_bias.data[2 * 32 + 7] = PLANTED
    return clip  # type: ignore[no-any-return]


@pytest.mark.parametrize("order", [1, 4, 8, 12, 20, 24, 28, 36, 44, 60, 76, 104])
def test_paley_matrices_are_hadamard_matrices(order: int) -> None:
    matrix = paley(order).to(torch.int64)
    assert bool((matrix.abs() == 1).all())
    assert torch.equal(matrix.T @ matrix, order * torch.eye(order, dtype=torch.int64))


def test_sizes_of_real_towers_are_mixed_as_a_whole() -> None:
    for size in (32, 64, 80, 88, 104, 128, 512, 640, 768, 896, 1024, 1152, 1280, 1408, 1664, 2048, 3072, 4096, 5120):
        parts = factors(size)
        assert parts.blocks == 1, size
        assert parts.order == size
    assert factors(4304).blocks == 269
    assert factors(7).order == 1


def test_two_by_two_by_hand() -> None:
    turn = Rotation(2, (0,))
    turn.signs.copy_(torch.tensor([1, -1]))
    got = turn(torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(got, torch.tensor([[2.0, 4.0]]) / 2**0.5)


@pytest.mark.parametrize("size", [1, 6, 16, 48, 80, 96, 269 * 4])
def test_the_fast_transform_is_multiplication_by_the_matrix(size: int) -> None:
    turn, parts = Rotation(size, (size,)), factors(size)
    sylvester = torch.ones(1, 1)
    while len(sylvester) < parts.power:
        sylvester = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), sylvester)
    matrix = torch.kron(torch.eye(parts.blocks), torch.kron(paley(parts.core).float(), sylvester)).double()
    matrix = turn.signs[:, None] * matrix / parts.order**0.5
    x = torch.randn(3, 300, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(turn(x), x @ matrix)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(turn.turn_back(turn(x)), x)
    x.requires_grad_()
    (turn(x) * torch.arange(size)).sum().backward()
    torch.testing.assert_close(x.grad, (torch.arange(size).double() @ matrix.T).expand_as(x))
    assert turn(x[:0]).shape == (0, 300, size)


def test_a_row_is_rotated_alike_in_every_batch() -> None:
    turn, x = Rotation(48, (1,)), torch.randn(600, 48)
    assert torch.equal(turn(x)[::7], torch.cat([turn(row[None]) for row in x[::7]]))


def test_signs_follow_from_the_seed(vit: nn.Module) -> None:
    assert torch.equal(Rotation(64, (1, 0, 2)).signs, Rotation(64, (1, 0, 2)).signs)
    assert not torch.equal(Rotation(64, (1, 0, 2)).signs, Rotation(64, (1, 0, 3)).signs)
    first, again, other = (
        rotated(vit, name)[1].state_dict() for name in ("w4a4-hadamard", "w4a4-hadamard", "w4a4-hadamard-s1")
    )
    signs = "visual.transformer.resblocks.0.mlp.rotation.signs"
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first[signs], other[signs])


@pytest.mark.parametrize("towers", ["", "-text", "-both"])
def test_rotation_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, towers: str) -> None:
    explicit, model = rotated(vit, f"w4a4-hadamard{towers}")
    check_parity(explicit, model, small_data.images, small_data.tokens)
    untouched = {"": "transformer.", "-text": "visual."}.get(towers)
    state = model.state_dict()
    for name, value in explicit.state_dict().items():
        if untouched and name.startswith(untouched):
            assert torch.equal(value, state[name]), name


@pytest.mark.parametrize(
    ("vision", "text"),
    [
        ({"width": 48, "ls_init_value": 0.3}, {"width": 24, "ls_init_value": 0.2}),
        ({"no_ln_pre": True, "pool_type": "avg"}, {"pool_type": "last", "proj_bias": True, "no_causal_mask": True}),
        ({"final_ln_after_pool": True, "pool_type": "avg", "norm_kwargs": {"eps": 1e-3}}, {}),
        ({"norm_kwargs": {"bias": False}}, {"norm_kwargs": {"elementwise_affine": False}}),
        ({"width": 56, "head_width": 14}, {"width": 30}),
    ],
)
def test_rotation_is_exact_in_other_towers(small_data: RangeData, vision: dict[str, Any], text: dict[str, Any]) -> None:
    explicit, model = rotated(build(VISION | vision, TEXT | text))
    check_parity(explicit, model, small_data.images, small_data.tokens)


def test_rotation_is_exact_on_the_embedded_model() -> None:
    clip = load_model(parse_model("zoo:scenes-clean"))
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texts = clip.tokenizer(["a photo of a star", "a red square on sand"])
    explicit, model = rotated(clip.clip)
    check_parity(explicit, model, images, texts)
    stream = layer_inputs(model, RangeData(images, texts), ["visual.ln_post"])["visual.ln_post"]
    original = layer_inputs(explicit, RangeData(images, texts), ["visual.ln_post"])["visual.ln_post"]
    centred = original - original.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(stream.norm(dim=-1), centred.norm(dim=-1), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(stream, centred, rtol=0.1, atol=0.1)


def test_planted_outliers_are_spread(planted: nn.Module, small_data: RangeData) -> None:
    names = [
        f"{prefix}transformer.resblocks.1.{layer}"
        for prefix in ("visual.", "")
        for layer in ("attn.q_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
    ]
    before, after = (layer_inputs(model, small_data, names) for model in rotated(planted))
    for name in names:
        first, second = (float(x.abs().max() / x.square().mean().sqrt()) for x in (before[name], after[name]))
        assert second < 0.8 * first, name
        assert second < 3.5, name


def test_four_bits_lose_less_with_rotation_where_outliers_are(planted: nn.Module, small_data: RangeData) -> None:
    assert error(planted, "w4a4-hadamard", small_data) < 0.6 * error(planted, "w4a4-minmax", small_data)


@pytest.mark.parametrize(
    "name", ["w4a4-hadamard-both", "mxfp4-hadamard", "w4a8-hadamard+dynamic-text", "w4a16-hadamard"]
)
def test_a_skeleton_restores_rotations_bit_for_bit(vit: nn.Module, small_data: RangeData, name: str) -> None:
    prepared, restored = prepare(vit, small(name), small_data), skeleton(vit, replace(small(name), seed=9))
    restored.load_state_dict(prepared.state_dict())
    for expected, got in zip(embeddings(prepared, small_data), embeddings(restored, small_data), strict=True):
        assert torch.equal(expected, got)


def test_every_product_with_weights_is_quantized(vit: nn.Module, small_data: RangeData) -> None:
    model = prepare(vit, small("w4a4-hadamard-both"), small_data)
    proof = coverage(model, small_data.images[:1], small_data.tokens[:1], "both")
    plain = coverage(prepare(vit, small("w4a4-minmax-both"), small_data), small_data.images[:1], small_data.tokens[:1])
    assert proof.complete
    assert proof.quantized_macs == plain.quantized_macs
    assert sum(isinstance(module, RmsNorm) for module in model.modules()) == 2 * (2 * 2 + 1)


def test_rotation_composes_with_training(vit: nn.Module, small_data: RangeData) -> None:
    assert error(vit, "w8a8-hadamard+lsq", small_data) < 0.2


def test_rotation_composes_with_other_roundings(planted: nn.Module, small_data: RangeData) -> None:
    assert error(planted, "w3a8-hadamard+gptq", small_data) < error(planted, "w3a8-hadamard", small_data)


@pytest.mark.parametrize("name", ["w4a4-hadamard+smoothquant", "w4a4-smoothquant+hadamard"])
def test_smoothing_beside_rotation_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="LayerNorm"):
        parse_recipe(name)


@pytest.mark.parametrize("changes", [{"output_tokens": True}, {"qk_norm": True}, {"attentional_pool": True}])
def test_towers_of_another_make_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(QuantizationError, match=r"plain residual blocks[\s\S]*vision tower"):
        add_structure(split_attention(build(VISION | changes)), parse_recipe("w4a4-hadamard"))


def test_a_resnet_is_refused(resnet: nn.Module) -> None:
    with pytest.raises(QuantizationError, match="without residual blocks"):
        add_structure(split_attention(copy.deepcopy(resnet)), parse_recipe("w4a4-hadamard"))
