"""Weights in training: learned steps, LSQ+'s first steps, DoReFa's gain."""

from __future__ import annotations

from math import tanh

import pytest
import torch
from torch import Tensor

from reliability.quant.formats.weights import WeightFormat, integer_format
from reliability.quant.qat.learnable import WeightRule
from reliability.quant.qat.lsq_plus import wide_scales
from reliability.quant.qat.weights import DorefaGrid, LearnedWeightStep, OnGrid, learned_from

FORMATS = {
    "channel": integer_format(4), "tensor": integer_format(4, "tensor"), "groups": integer_format(3, 32),
    "zero_points": integer_format(4, 32, symmetric=False), "eight": integer_format(8),
}  # fmt: skip
RULES = {
    "on_grid": OnGrid,
    "learned": learned_from(lambda format, weight: format.scales(weight)),
    "wide": learned_from(wide_scales),
    "dorefa": DorefaGrid,
}


@pytest.fixture(params=FORMATS.values(), ids=list(FORMATS))
def format(request: pytest.FixtureRequest) -> WeightFormat:
    return request.param  # type: ignore[no-any-return]


def weight(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(shape or (6, 70), generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_shows_lies_on_the_grid_it_names(name: str, format: WeightFormat) -> None:
    for shape in ((6, 70), (5, 8, 3, 3)):
        values = weight(1, *shape)
        rule: WeightRule = RULES[name](format, values)
        shown, scales = rule(values), rule.scales(values)
        assert shown.shape == values.shape
        assert format.steps_off(shown, scales) < 1e-4
        torch.testing.assert_close(format.snap(shown, scales), shown)


def test_learned_steps_start_as_round_to_nearest(format: WeightFormat) -> None:
    values = weight()
    rule = RULES["learned"](format, values)
    assert torch.equal(rule(values), format.snap(values, format.scales(values)))


def test_learned_steps_have_lsq_gradients_by_hand() -> None:
    # One channel, codes -3 to 3, step .1: v = 1.4 inside, 5 above.
    format, values = integer_format(3), torch.tensor([[0.14, 0.5]], requires_grad=True)
    rule = LearnedWeightStep(format, format.scales(torch.tensor([[0.3, 0.0]])))
    (rule(values) * torch.tensor([[1.0, 2.0]])).sum().backward()
    assert values.grad is not None
    assert rule.shares.grad is not None
    assert values.grad.tolist() == [[1.0, 0.0]]
    by_hand = 0.1 * (1.0 * (1 - 1.4) + 2.0 * 3) / (2 * 3) ** 0.5  # .1, because a share of the step is learned
    assert rule.shares.grad.item() == pytest.approx(by_hand, rel=1e-4)


def test_learned_steps_stay_positive() -> None:
    rule = RULES["learned"](integer_format(4), weight())
    assert isinstance(rule, LearnedWeightStep)
    rule.shares.data.fill_(-1)
    rule.keep_valid()
    assert bool((rule.scales(weight()).scale > 0).all())


def test_wide_scales_by_hand() -> None:
    # Mean 1, deviation 2: max(|1 - 6|, |1 + 6|) / 7.
    values = torch.tensor([[3.0, -1.0, 3.0, -1.0]])
    assert wide_scales(integer_format(4), values).scale.item() == pytest.approx(7 / 7)
    flipped = wide_scales(integer_format(4), -values).scale.item()
    assert flipped == pytest.approx(7 / 7)


def test_wide_scales_of_equal_weights_are_those_of_rounding() -> None:
    values = torch.full((2, 8), 0.7)
    assert torch.equal(wide_scales(integer_format(4), values).scale, integer_format(4).scales(values).scale)


def test_dorefa_by_hand() -> None:
    # Codes -1, 0, 1 over tanh(1): q = (t, 0, -t) with t = tanh(1), then gain <w, q> / <q, q>.
    rule, t = DorefaGrid(integer_format(2), torch.empty(0)), tanh(1.0)
    values = torch.tensor([[1.0, 0.3, -0.8]])
    gain = (1.0 * t + 0.8 * t) / (2 * t * t)
    expected = torch.tensor([[gain * t, 0.0, -gain * t]])
    torch.testing.assert_close(rule(values), expected)
    assert rule.scales(values).scale.item() == pytest.approx(gain * t)


def test_dorefas_gain_is_the_best_one_and_keeps_the_magnitude(format: WeightFormat) -> None:
    values = weight()
    shown = DorefaGrid(format, values)(values)
    error = (shown - values).square().sum()
    for other in (0.9, 0.99, 1.01, 1.1):
        assert (other * shown - values).square().sum() > error
    assert float(shown.norm() / values.norm()) == pytest.approx(1, abs=0.1)
    # Without the gain the largest of every part would be tanh(w) / max tanh(w) = 1.
    assert float(shown.abs().max()) < 0.6


def test_dorefas_gradient_is_the_gain_times_that_of_the_tangent() -> None:
    values = weight().requires_grad_()
    rule = DorefaGrid(integer_format(4), values)
    rule(values).sum().backward()
    gain = rule.scales(values).scale / integer_format(4).scales(values.detach().tanh()).scale
    assert values.grad is not None
    torch.testing.assert_close(values.grad, gain * (1 - values.detach().tanh() ** 2))


def test_dorefa_leaves_zeros_alone() -> None:
    values = torch.zeros(2, 4)
    assert torch.equal(DorefaGrid(integer_format(4), values)(values), values)
