"""LSQ+ and PACT: gradients by hand inside the range, by finite differences where they are smooth."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor

from reliability.quant.qat.learnable import LearnedQuantizer, whole_steps
from reliability.quant.qat.lsq_plus import LearnedStepAndOffset, lsq_plus
from reliability.quant.qat.pact import LearnedClip, pact
from reliability.quant.quantizers import StaticQuantizer

RANGES = [(-1.0, 2.0), (0.0, 3.0), (-2.0, 0.0), (-0.17, 5.0)]
LEARNED = [LearnedStepAndOffset, LearnedClip]


def ready_quantizer(low: float, high: float, bits: int = 4) -> StaticQuantizer:
    quantizer = StaticQuantizer(bits)
    quantizer.set_range(torch.tensor(low), torch.tensor(high))
    return quantizer


def learned(*values: float) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]


def test_lsq_plus_by_hand() -> None:
    # v = (x + 1) / .5 = 2.52, 12, -4 with codes 0 to 3: one inside, one above, one below.
    x = torch.tensor([0.26, 5.0, -3.0], requires_grad=True)
    scale, offset = torch.tensor(0.5, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    out = lsq_plus(x, scale, offset, 3)
    assert out.tolist() == [0.5, 0.5, -1.0]
    out.backward(torch.tensor([1.0, 2.0, 4.0]))
    assert x.grad is not None
    assert scale.grad is not None
    assert offset.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0]
    share = 1 / sqrt(3 * 3)
    assert scale.grad.item() == pytest.approx((1.0 * (3 - 2.52) + 2.0 * 3 + 4.0 * 0) * share, rel=1e-5)
    assert offset.grad.item() == pytest.approx((1.0 * 0 + 2.0 * 1 + 4.0 * 1) * share, rel=1e-5)


@pytest.mark.parametrize("x", [7.0, -5.0])
@pytest.mark.parametrize("which", [0, 1])
def test_lsq_plus_outside_the_range_matches_finite_differences(x: float, which: int) -> None:
    value, parameters = torch.tensor([x], dtype=torch.float64), learned(0.4, -1.3)
    slope = torch.autograd.grad(lsq_plus(value, *parameters, 7), parameters[which])[0] * sqrt(7)
    moved = [[p.detach() + sign * 1e-6 * (i == which) for i, p in enumerate(parameters)] for sign in (1, -1)]
    up, down = (lsq_plus(value, *ends, 7) for ends in moved)
    assert slope.item() == pytest.approx(((up - down) / 2e-6).item(), rel=1e-6)


def test_pact_by_hand() -> None:
    x = torch.tensor([0.26, 5.0, -3.0, -7.0], requires_grad=True)
    low, high = torch.tensor(-1.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    out = pact(x, low, high, 3)
    assert out.tolist() == [0.0, 2.0, -1.0, -1.0]
    out.backward(torch.tensor([1.0, 2.0, 4.0, 8.0]))
    assert x.grad is not None
    assert low.grad is not None
    assert high.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert (low.grad.item(), high.grad.item()) == (12.0, 2.0)


@pytest.mark.parametrize("x", [7.0, -5.0])
@pytest.mark.parametrize("which", [0, 1])
def test_pact_outside_the_range_matches_finite_differences(x: float, which: int) -> None:
    value, parameters = torch.tensor([x], dtype=torch.float64), learned(-1.3, 2.1)
    slope = torch.autograd.grad(pact(value, *parameters, 7), parameters[which])[0]
    moved = [[p.detach() + sign * 1e-6 * (i == which) for i, p in enumerate(parameters)] for sign in (1, -1)]
    up, down = (pact(value, *ends, 7) for ends in moved)
    assert slope.item() == pytest.approx(((up - down) / 2e-6).item(), abs=1e-8)


@pytest.mark.parametrize("function", [lsq_plus, pact])
def test_the_ends_of_the_range_are_inside_it(function: object) -> None:
    parameters = learned(1.0, 0.0) if function is lsq_plus else learned(0.0, 3.0)
    x = torch.tensor([0.0, 3.0], dtype=torch.float64, requires_grad=True)
    function(x, *parameters, 3).sum().backward()  # type: ignore[operator]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0]


def test_whole_steps_round_forward_and_pass_gradients_back() -> None:
    offset = torch.tensor(-1.3, requires_grad=True)
    rounded = whole_steps(offset, torch.tensor(0.5))
    assert rounded.item() == pytest.approx(-1.5)
    rounded.backward()
    assert offset.grad is not None
    assert offset.grad.item() == 1.0


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_untrained_it_computes_what_its_quantizer_does_and_hands_it_back(
    kind: type[LearnedQuantizer], low: float, high: float
) -> None:
    quantizer = ready_quantizer(low, high)
    scale, zero_point = quantizer.scale.item(), quantizer.zero_point.item()
    x = torch.randn(500, generator=torch.Generator().manual_seed(0)) * 3
    expected, module = quantizer(x), kind(quantizer)
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-6)
    finished = module.finish()
    assert finished.scale.item() == pytest.approx(scale, rel=1e-6)
    assert finished.zero_point.item() == zero_point


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("seed", range(3))
def test_trained_it_computes_what_is_handed_back(kind: type[LearnedQuantizer], seed: int) -> None:
    module = kind(ready_quantizer(-1.0, 2.0))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.groups(0.05))
    for _ in range(15):
        x = torch.randn(64, generator=generator) * 2
        optimizer.zero_grad()
        ((module(x) - x) ** 2).mean().backward()
        optimizer.step()
        module.keep_valid()
    before, x = module(x), x
    finished = module.finish()
    assert finished.zero_point.item() == round(finished.zero_point.item())
    assert 0 <= finished.zero_point.item() <= finished.grid.qmax
    assert float(finished(torch.zeros(1))) == 0.0
    torch.testing.assert_close(before, finished(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", LEARNED)
def test_learning_widens_a_range_that_clips_too_much(kind: type[LearnedQuantizer]) -> None:
    module, x = kind(ready_quantizer(-0.5, 0.5)), torch.randn(2000, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(module.groups(0.05))

    def error() -> Tensor:
        return ((module(x) - x) ** 2).mean()

    before = error().item()
    for _ in range(100):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
        module.keep_valid()
    assert error().item() < 0.2 * before


def test_a_range_that_clips_nothing_is_narrowed_by_decay() -> None:
    module = LearnedClip(ready_quantizer(-4.0, 4.0))
    optimizer = torch.optim.AdamW(module.groups(0.05))
    module(torch.zeros(3, requires_grad=True)).sum().backward()
    optimizer.step()
    assert bool((module.shares < 1).all())


@pytest.mark.parametrize("kind", LEARNED)
def test_a_range_stays_positive_and_around_zero(kind: type[LearnedQuantizer]) -> None:
    module = kind(ready_quantizer(-1.0, 2.0))
    for group in module.groups(1.0):
        for parameter in group["params"]:
            parameter.data.fill_(-50.0)
    module.keep_valid()
    finished = module.finish()
    assert finished.scale.item() > 0
    assert 0 <= finished.zero_point.item() <= finished.grid.qmax


def test_an_end_at_zero_stays_there_under_pact() -> None:
    module = LearnedClip(ready_quantizer(0.0, 3.0))
    module.shares.data.fill_(0.5)
    finished = module.finish()
    assert finished.zero_point.item() == 0
    assert finished.scale.item() == pytest.approx(1.5 / 15)
