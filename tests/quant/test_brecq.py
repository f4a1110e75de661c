from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import weight_format
from reliability.quant.layers import QuantLayer, QuantLinear, insert_quantizers
from reliability.quant.methods import brecq, registry
from reliability.quant.methods.caption_loss import CaptionLoss
from reliability.quant.methods.reconstruction import learning
from reliability.quant.methods.reconstruction import run as reconstruction
from reliability.quant.methods.reconstruction.examples import Example, examples, squared_gradients
from reliability.quant.methods.reconstruction.learning import ReconstructionSettings, reconstruct
from reliability.quant.methods.reconstruction.units import Unit, find_units, units_in_order
from reliability.quant.methods.soft_rounding import SoftRounding, neighbours
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.surgery import split_attention
from reliability.quant.towers import encode, gemm_layers

QUICK = ReconstructionSettings(steps=150, batch=12, fisher=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LAYER_METHODS, "brecq", partial(brecq.apply, settings=QUICK))


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def bench_for(clip: nn.Module, data: RangeData, name: str) -> LayerBench:
    """A bench whose layers are rounded to nearest, their activations left alone."""
    recipe = small(name)
    explicit = split_attention(copy.deepcopy(clip), recipe.towers).requires_grad_(False)
    model = copy.deepcopy(explicit)
    layers = insert_quantizers(model, recipe)
    return LayerBench(model, explicit, recipe, data, lambda _: None, layers, explicit)


def test_blocks_and_the_layers_outside_them_are_units(vit: nn.Module) -> None:
    clip = split_attention(copy.deepcopy(vit))
    layers = gemm_layers(clip, "both")
    units = find_units(clip, layers)
    blocks = [f"{tower}transformer.resblocks.{n}" for tower in ("visual.", "") for n in (0, 1)]
    assert set(units) == {"visual.conv1", "visual.proj.linear", "text_projection.linear", *blocks}
    parts = [f"attn.{part}_proj" for part in ("q", "k", "v", "out")] + ["mlp.c_fc", "mlp.c_proj"]
    assert sorted(units[blocks[0]]) == sorted(parts)
    names = [Unit(name, "vision", found).full_name(layer) for name, found in units.items() for layer in found]
    assert sorted(names) == sorted(layers)


def test_bottlenecks_of_a_resnet_are_units(resnet: nn.Module) -> None:
    clip = split_attention(copy.deepcopy(resnet), "vision")
    units = find_units(clip, gemm_layers(clip, "vision"))
    assert {f"visual.layer{n}.0" for n in (1, 2, 3, 4)} < set(units)
    assert set(units["visual.layer2.0"]) == {"conv1", "conv2", "conv3", "downsample.0"}


def test_units_come_in_the_order_in_which_they_run(vit: nn.Module, small_data: RangeData) -> None:
    clip = split_attention(copy.deepcopy(vit))
    units = units_in_order(clip, small("w4a8-brecq-both"), small_data, gemm_layers(clip, "both"))
    blocks = [f"transformer.resblocks.{n}" for n in (0, 1)]
    vision = ["visual.conv1", *(f"visual.{block}" for block in blocks), "visual.proj.linear"]
    assert [unit.name for unit in units] == [*vision, *blocks, "text_projection.linear"]
    assert [unit.tower for unit in units] == ["vision"] * 4 + ["text"] * 3


def test_positions_after_the_end_of_text_do_not_count() -> None:
    keep = torch.tensor([[True, True, False]])
    target = torch.zeros(1, 3, 2)
    weights = torch.tensor([[[1.0, 1.0], [2.0, 1.0], [9.0, 9.0]]])
    example = Example((), {}, target, target, target, keep, weights)
    assert float(example.error(torch.ones(1, 3, 2))) == 5.0
    assert float(example.error(torch.tensor([[[1.0, 0.0], [0.0, 3.0], [7.0, 7.0]]]))) == 10.0


def tiny() -> tuple[nn.Sequential, dict[str, QuantLayer], dict[str, Tensor], list[Example]]:
    """A block of two layers with nine weights, and correlated inputs."""
    torch.manual_seed(2)
    source = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)).requires_grad_(False)
    form = weight_format(parse_recipe("w2a16-brecq"))
    unit = nn.Sequential(*(QuantLinear(m, form, nn.Identity()) if isinstance(m, nn.Linear) else m for m in source))
    layers = {name: unit.get_submodule(name) for name in ("0", "2")}
    x = torch.randn(64, 1) @ torch.ones(1, 3) + 0.3 * torch.randn(64, 3)
    found = [Example((x,), {}, x, source(x), unit(x), None)]
    return unit, layers, {name: source.get_parameter(f"{name}.weight") for name in layers}, found  # type: ignore[return-value]


def test_a_tiny_block_gets_nearly_the_best_of_all_roundings() -> None:
    unit, layers, weights, found = tiny()
    sides = {name: neighbours(layer, weights[name]) for name, layer in layers.items()}
    errors = []
    for ups in product((False, True), repeat=8):
        mask = torch.tensor(ups)
        trial = copy.deepcopy(unit)
        for name, part in zip(layers, (mask[:6].view(2, 3), mask[6:].view(1, 2)), strict=True):
            trial.get_parameter(f"{name}.weight").copy_(torch.where(part, *reversed(sides[name])))
        errors.append(float(found[0].error(trial(*found[0].args))))
    settings = ReconstructionSettings(steps=300)
    after, before = reconstruct(unit, layers, weights, found, settings, torch.Generator().manual_seed(0))
    assert before == pytest.approx(float(found[0].error(found[0].before)))
    assert after == pytest.approx(float(found[0].error(unit(*found[0].args))))
    assert sum(error < 0.999 * after for error in errors) <= 0.1 * len(errors)
    assert after < 0.6 * before


def test_a_block_that_does_not_gain_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, layers, weights, found = tiny()
    before = {key: value.clone() for key, value in unit.state_dict().items()}

    def spoil(unit: nn.Module, roundings: dict[str, SoftRounding], *others: object) -> None:
        del unit, others
        for rounding in roundings.values():
            rounding.logits = torch.full_like(rounding.logits, 9.0)

    monkeypatch.setattr(learning, "_learn", spoil)
    after, nearest = reconstruct(unit, layers, weights, found, QUICK, torch.Generator())
    assert after == nearest > 0
    assert all(torch.equal(value, before[key]) for key, value in unit.state_dict().items())


def test_squared_gradients_are_those_of_every_pair_on_average(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w4a16-brecq-both")
    unit = Unit("visual.proj.linear", "vision", ("",))
    loss = CaptionLoss(bench, 12)
    images, texts = embeddings(bench.reference, small_data)
    squares = torch.zeros(24, 24)
    for rows in torch.split(torch.arange(24), 12):
        image = images[rows].requires_grad_()
        scale = bench.reference.get_parameter("logit_scale").exp()
        logits = scale * F.normalize(image, dim=1) @ F.normalize(texts[rows], dim=1).T
        right = torch.arange(12)
        # Summed over pairs, so that a pair's gradient does not depend on how many there are.
        total = 12 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
        squares[rows] = torch.autograd.grad(total, image)[0].square()
    expected = squares.mean(dim=0, keepdim=True)
    torch.testing.assert_close(squared_gradients(bench, unit, loss), expected / expected.mean(), rtol=1e-4, atol=1e-6)


def test_only_the_positions_that_matter_have_weights(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w4a16-brecq-both")
    last = Unit("visual.transformer.resblocks.1", "vision", ())
    weights = squared_gradients(bench, last, CaptionLoss(bench, 12))
    assert weights.shape == (1, 17, 32)
    # The class token alone is read after the last block.
    assert float(weights[:, 1:].abs().max()) == 0.0
    assert float(weights.mean()) == pytest.approx(1.0, rel=1e-5)


def test_examples_hold_the_float_target_and_quantized_inputs(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w2a16-brecq-both")
    found = examples(bench, Unit("transformer.resblocks.1", "text", ()), 10)
    assert [len(example.target) for example in found] == [10, 10, 4]
    assert not torch.allclose(found[0].args[0], found[0].float_input)
    with torch.no_grad():
        again = bench.float_model.get_submodule("transformer.resblocks.1")(found[0].float_input, **found[0].kwargs)
    assert torch.equal(again, found[0].target)
    assert found[0].keep is not None
    assert found[0].keep.shape == (10, 8)


@pytest.mark.parametrize("name", ["w4a8-brecq-both", "mxfp4-brecq", "w3a16_g32_asym-brecq"])
def test_every_unit_of_a_model_loses_less(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData, name: str
) -> None:
    errors: list[tuple[float, float]] = []

    def noting(*args: object) -> tuple[float, float]:
        errors.append(reconstruct(*args))  # type: ignore[arg-type]
        return errors[-1]

    monkeypatch.setattr(reconstruction, "reconstruct", noting)
    prepare(vit, small(name), small_data)
    assert len(errors) == (7 if name.endswith("both") else 4)
    assert all(after < 0.97 * before for after, before in errors), errors


def test_embeddings_are_closer_than_by_rounding_to_nearest(vit: nn.Module, small_data: RangeData) -> None:
    expected = embeddings(vit, small_data)
    learned, nearest = (
        embeddings(prepare(vit, small(name), small_data), small_data) for name in ("w3a8-brecq-both", "w3a8-rtn-both")
    )
    for wanted, ours, theirs in zip(expected, learned, nearest, strict=True):
        assert float((ours - wanted).norm()) < 0.8 * float((theirs - wanted).norm())


def test_it_is_repeatable_complete_and_restored_bit_for_bit(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a8-hadamard+brecq")
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        for expected, got in zip(embeddings(first, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)
    assert coverage(first, small_data.images[:1], small_data.tokens[:1], "vision").complete


def test_a_unit_that_gives_no_tensor_is_refused(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w4a16-brecq")
    with pytest.raises(QuantizationError, match=r"give one tensor[\s\S]*tuple"):
        examples(bench, Unit("visual.transformer.resblocks.0.attn", "vision", ()), 12)


def test_blocks_of_a_resnet_are_reconstructed(
    monkeypatch: pytest.MonkeyPatch, resnet: nn.Module, tokens: Tensor
) -> None:
    few = partial(brecq.apply, settings=replace(QUICK, steps=12))
    monkeypatch.setitem(registry.LAYER_METHODS, "brecq", few)
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    lines: list[str] = []
    prepare(copy.deepcopy(resnet), small("w4a8-brecq"), data, lines.append)
    assert any("visual.layer4.0, output error 0." in line for line in lines)
