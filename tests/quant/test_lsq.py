from __future__ import annotations

import copy
from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.qat.lsq import LearnedStep, lsq
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe


def recipe(name: str = "w4a4-lsq", **settings: float) -> Recipe:
    qat = replace(QatSettings(steps=12, batch=12, learning_rate=1e-3), **settings)
    return replace(parse_recipe(name), range_images=24, qat=qat)


def ready_quantizer(low: float, high: float, bits: int = 4) -> StaticQuantizer:
    quantizer = StaticQuantizer(bits)
    quantizer.set_range(torch.tensor(low), torch.tensor(high))
    return quantizer


def test_gradients_by_hand() -> None:
    # v = .52, 10, -6: one value inside, one above 3, one below -2.
    x = torch.tensor([0.26, 5.0, -3.0], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    out = lsq(x, scale, -2.0, 3.0)
    assert out.tolist() == [0.5, 1.5, -1.0]
    out.backward(torch.tensor([1.0, 2.0, 4.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0]
    by_hand = (1.0 * (1 - 0.52) + 2.0 * 3 + 4.0 * -2) / sqrt(3 * 3)
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(by_hand, rel=1e-5)


def test_the_ends_of_the_range_are_inside_it() -> None:
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)
    lsq(x, scale, -2.0, 3.0).sum().backward()
    assert x.grad is not None
    assert scale.grad is not None
    assert x.grad.tolist() == [1.0, 1.0]
    assert scale.grad.item() == 0.0


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (0.0, 3.0), (-2.0, 0.0)])
def test_an_untrained_step_computes_what_its_quantizer_does(low: float, high: float) -> None:
    quantizer = ready_quantizer(low, high)
    x = torch.randn(200, generator=torch.Generator().manual_seed(0)) * 2
    torch.testing.assert_close(LearnedStep(quantizer)(x), quantizer(x), rtol=0, atol=0)


def test_a_step_stays_positive_and_is_handed_back() -> None:
    step = LearnedStep(ready_quantizer(0.0, 1.5))
    with torch.no_grad():
        step.scale.fill_(-1.0)
    step.keep_valid()
    assert step.scale.item() == pytest.approx(0.001)
    assert step.finish().scale.item() == step.scale.item()


def test_parts_with_a_step_each_have_the_gradients_of_steps_of_their_own() -> None:
    generator = torch.Generator().manual_seed(3)
    x, weight = torch.randn(3, 7, generator=generator), torch.randn(3, 7, generator=generator)
    scales = torch.tensor([[0.1], [0.3], [1.0]], requires_grad=True)
    together = lsq(x, scales, -7.0, 7.0)
    (together * weight).sum().backward()
    for row in range(3):
        scale = scales[row, 0].detach().clone().requires_grad_()
        alone = lsq(x[row], scale, -7.0, 7.0)
        (alone * weight[row]).sum().backward()
        assert torch.equal(together[row], alone)
        assert scales.grad is not None
        torch.testing.assert_close(scales.grad[row, 0], scale.grad)


@pytest.mark.parametrize("x", [9.0, -9.0])
def test_outside_the_range_the_gradient_is_that_of_finite_differences(x: float) -> None:
    value, scale = torch.tensor([x], dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(lsq(value, scale, -3.0, 4.0), scale)
    differences = (lsq(value, scale + 1e-6, -3.0, 4.0) - lsq(value, scale - 1e-6, -3.0, 4.0)) / 2e-6
    assert slope.item() * sqrt(1 * 4) == pytest.approx(differences.item(), rel=1e-6)


@torch.no_grad()
def similarity(clip: nn.Module, other: nn.Module, data: RangeData) -> float:
    return float(F.cosine_similarity(clip.encode_image(data.images), other.encode_image(data.images)).mean())


def test_training_brings_the_features_closer_to_the_original(clip: nn.Module, data: RangeData) -> None:
    rounded = replace(parse_recipe("w4a4-minmax"), range_images=24)
    before = similarity(clip, prepare(clip, rounded, data), data)
    trained = prepare(clip, recipe(steps=20), data)
    assert similarity(clip, trained, data) > before + 0.2 * (1 - before)


@pytest.fixture(scope="module")
def trained(vit: nn.Module, small_data: RangeData) -> nn.Module:
    return prepare(vit, recipe("w4a4-lsq-both"), small_data)


def test_nothing_of_the_training_is_left_in_the_result(trained: nn.Module, small_data: RangeData) -> None:
    assert not any(parametrize.is_parametrized(module) for module in trained.modules())
    assert not any(isinstance(module, LearnedStep) for module in trained.modules())
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    assert coverage(trained, small_data.images[:1], small_data.tokens[:1], "both").complete


def test_steps_and_weights_move_and_the_logit_scale_does_not(
    vit: nn.Module, trained: nn.Module, small_data: RangeData
) -> None:
    rounded = prepare(vit, replace(parse_recipe("w4a4-minmax-both"), range_images=24), small_data)
    for layer in ("visual.conv1", "visual.proj.linear", "transformer.resblocks.1.mlp.c_fc"):
        ours, theirs = trained.get_submodule(layer), rounded.get_submodule(layer)
        assert ours.activation.scale != theirs.activation.scale
        assert not torch.equal(ours.weight, theirs.weight)
    assert torch.equal(trained.logit_scale, vit.logit_scale)


def test_the_seed_alone_decides(vit: nn.Module, small_data: RangeData) -> None:
    def weights(name: str) -> Tensor:
        torch.manual_seed(torch.seed() % 1000)  # the global state must not matter
        return prepare(vit, recipe(name, steps=3), small_data).get_parameter("visual.conv1.weight")

    first = weights("w4a4-lsq")
    assert torch.equal(first, weights("w4a4-lsq"))
    assert not torch.equal(first, weights("w4a4-lsq-s1"))


def test_the_original_and_the_untouched_tower_are_left_alone(vit: nn.Module, small_data: RangeData) -> None:
    before = copy.deepcopy(vit.state_dict())
    result = prepare(vit, recipe(steps=2), small_data)
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())
    assert torch.equal(result.encode_text(small_data.tokens), vit.encode_text(small_data.tokens))


def test_divergence_is_an_error(vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match="diverged"):
        prepare(vit, recipe(learning_rate=1e30), small_data)


@torch.no_grad()
def test_training_works_where_the_caller_has_switched_gradients_off(vit: nn.Module, small_data: RangeData) -> None:
    result = prepare(vit, recipe(steps=2), small_data)
    assert not torch.is_grad_enabled()
    assert result.encode_image(small_data.images).isfinite().all()


def test_progress_is_reported(vit: nn.Module, small_data: RangeData) -> None:
    lines: list[str] = []
    prepare(vit, recipe(steps=20), small_data, lines.append)
    assert any("step 20/20" in line for line in lines)
