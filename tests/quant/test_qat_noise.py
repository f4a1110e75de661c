"""The noise arm: matched noise in training, and no grid at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import integer_format
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.qat.noise import NoisyWeight, StepNoise
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import QatSettings, Recipe, list_recipes, parse_recipe
from reliability.quant.surgery import split_attention


def recipe(name: str = "w4a4-noise", **settings: object) -> Recipe:
    qat = replace(QatSettings(steps=6, batch=12, learning_rate=1e-3), **settings)
    return replace(parse_recipe(name), range_images=24, qat=qat)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def is_step_noise(noise: Tensor) -> bool:
    """Whether numbers in units of a step look uniform in [-.5, .5)."""
    return (
        bool((noise.abs() <= 0.5001).all())
        and float(noise.mean()) == pytest.approx(0, abs=0.02)
        and float(noise.var()) == pytest.approx(1 / 12, rel=0.05)
    )


def test_activations_get_noise_of_a_steps_width_around_them() -> None:
    quantizer = StaticQuantizer(4)
    quantizer.set_range(torch.tensor(-1.0), torch.tensor(2.0))
    x = torch.randn(20_000, generator=generator(5)) * 9  # far outside the range, which clips nothing
    x.requires_grad_()
    out = StepNoise(quantizer, generator())(x)
    assert is_step_noise((out - x).detach() / 0.2)
    out.sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 1).all())


def test_weights_get_noise_of_the_step_of_their_part() -> None:
    weight, format = torch.randn(40, 640, generator=generator(5)), integer_format(4, 32)
    noise = NoisyWeight(format, weight, generator())(weight) - weight
    assert is_step_noise(format.sharing.split(noise) / format.scales(weight).scale)


def test_noise_is_fresh_in_every_pass() -> None:
    rule = NoisyWeight(integer_format(4), torch.empty(0), generator())
    assert not torch.equal(rule(torch.ones(3, 3)), rule(torch.ones(3, 3)))


@pytest.fixture(scope="module")
def noisy(vit: nn.Module, small_data: RangeData) -> nn.Module:
    return prepare(vit, recipe("w4a4-noise-both"), small_data)


def test_the_result_has_no_grid(noisy: nn.Module, small_data: RangeData) -> None:
    proof = coverage(noisy, small_data.images[:1], small_data.tokens[:1], "both")
    assert (proof.share, proof.quantized_macs, proof.complete) == (0.0, 0, False)
    assert not any(isinstance(module, (QuantLinear, QuantConv2d)) for module in noisy.modules())
    weight = noisy.get_parameter("visual.transformer.resblocks.0.mlp.c_fc.weight")
    assert len(weight.unique()) == weight.numel()


def test_the_result_is_a_float_model_that_was_trained(vit: nn.Module, noisy: nn.Module, small_data: RangeData) -> None:
    plain = split_attention(skeleton(vit, parse_recipe("fp32")))
    assert noisy.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        before, after = vit.encode_image(small_data.images), noisy.encode_image(small_data.images)
    assert not torch.equal(before, after)
    assert float(F.cosine_similarity(before, after).mean()) > 0.95
    assert torch.equal(noisy.logit_scale, vit.logit_scale)


def test_it_is_deterministic_and_evaluated_without_noise(noisy: nn.Module, small_data: RangeData) -> None:
    assert torch.equal(noisy.encode_image(small_data.images), noisy.encode_image(small_data.images))


def test_a_skeleton_restores_it_bit_for_bit(vit: nn.Module, noisy: nn.Module, small_data: RangeData) -> None:
    restored = skeleton(vit, recipe("w4a4-noise-both"))
    restored.load_state_dict(noisy.state_dict())
    assert torch.equal(restored.encode_image(small_data.images), noisy.encode_image(small_data.images))
    assert torch.equal(restored.encode_text(small_data.tokens), noisy.encode_text(small_data.tokens))


def test_the_seed_alone_decides(vit: nn.Module, small_data: RangeData) -> None:
    def weight(name: str) -> Tensor:
        return prepare(vit, recipe(name, steps=2), small_data).get_parameter("visual.conv1.weight")

    assert torch.equal(weight("w4a4-noise"), weight("w4a4-noise-s0"))
    assert not torch.equal(weight("w4a4-noise"), weight("w4a4-noise-s1"))


def test_fewer_bits_are_more_noise(vit: nn.Module, small_data: RangeData) -> None:
    losses = []
    for name in ("w8a8-noise", "w4a4-noise", "w2a2-noise"):
        lines: list[str] = []
        prepare(vit, recipe(name, steps=20, learning_rate=1e-9), small_data, lines.append)
        losses.append(float(next(line for line in lines if "step 20/20" in line).split()[-1]))
    assert losses == sorted(losses)


def test_it_says_that_it_ends_in_float_wherever_it_is_named(vit: nn.Module, small_data: RangeData) -> None:
    lines: list[str] = []
    prepare(vit, recipe(steps=1), small_data, lines.append)
    assert any("ends in float" in line for line in lines)
    assert "ends in FLOAT" in list_recipes()["w8a8-noise"]
    assert parse_recipe("w8a8-noise").ends_in_float
    assert not parse_recipe("w8a8-ste").ends_in_float


def test_a_control_that_kept_its_grid_is_refused(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    from reliability.quant.methods import pipeline

    monkeypatch.setitem(pipeline.LAYER_METHODS, "noise", lambda _: None)
    with pytest.raises(QuantizationError, match="must end in float"):
        prepare(vit, recipe(), small_data)
