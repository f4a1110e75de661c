from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reliability.quant.affine import (
    Grid,
    asymmetric_parameters,
    channel_amax,
    dequantize,
    fake_quantize,
    quantize,
    symmetric_scale,
)

BITS = range(2, 9)


def slow_codes(x: Tensor, scale: float, zero: int, grid: Grid) -> list[int]:
    """One value at a time; Python's round is half to even."""
    steps = [round(float(np.float32(value) / np.float32(scale))) for value in x.flatten().tolist()]
    return [min(max(step + zero, grid.qmin), grid.qmax) for step in steps]


def sample(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3 + 0.7


def test_grids_have_the_codes_of_their_width() -> None:
    assert (Grid(8, True).qmin, Grid(8, True).qmax) == (-127, 127)
    assert (Grid(2, True).qmin, Grid(2, True).qmax) == (-1, 1)
    assert (Grid(8, False).qmin, Grid(8, False).qmax) == (0, 255)


def test_parameters_by_hand() -> None:
    assert symmetric_scale(torch.tensor(12.7), Grid(8, True)).item() == pytest.approx(0.1)
    scale, zero = asymmetric_parameters(torch.tensor(-1.0), torch.tensor(2.0), Grid(2, False))
    assert (scale.item(), zero.item()) == (1.0, 1.0)


def test_codes_by_hand_with_ties_to_even_and_clipping() -> None:
    x = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.6])
    one, zero = torch.tensor(1.0), torch.tensor(1.0)
    assert quantize(x, one, zero, Grid(2, False)).tolist() == [0, 1, 1, 3, 3]
    assert fake_quantize(x, one, zero, Grid(2, False)).tolist() == [-1.0, 0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize(("low", "high"), [(1.0, 3.0), (-3.0, -1.0), (-2.0, 5.0)])
def test_zero_is_represented_exactly_and_inside_the_range(low: float, high: float) -> None:
    scale, zero = asymmetric_parameters(torch.tensor(low), torch.tensor(high), Grid(8, False))
    assert zero.item() == round(zero.item())
    assert 0 <= zero.item() <= 255
    assert fake_quantize(torch.zeros(1), scale, zero, Grid(8, False)).item() == 0.0
    assert 255 * scale.item() == pytest.approx(max(high, 0) - min(low, 0))


def test_all_zero_and_underflowing_ranges_have_scale_one_and_nan_stays_nan() -> None:
    grid = Grid(8, True)
    assert symmetric_scale(torch.tensor([0.0, 1e-45]), grid).tolist() == [1.0, 1.0]
    assert symmetric_scale(torch.tensor(torch.nan), grid).isnan()
    scale, zero = asymmetric_parameters(torch.tensor(0.0), torch.tensor(0.0), Grid(8, False))
    assert (scale.item(), zero.item()) == (1.0, 0.0)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_codes_match_a_slow_second_implementation(bits: int, symmetric: bool) -> None:
    x, grid = sample(bits, 257), Grid(bits, symmetric)
    if symmetric:
        scale, zero = symmetric_scale(x.abs().max(), grid), None
    else:
        scale, zero = asymmetric_parameters(x.min(), x.max(), grid)
    codes = quantize(x, scale, zero, grid)
    assert codes.tolist() == slow_codes(x, scale.item(), 0 if zero is None else int(zero), grid)
    assert torch.equal(dequantize(codes, scale, zero), fake_quantize(x, scale, zero, grid))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=30), st.sampled_from(BITS), st.booleans())
def test_error_is_half_a_step_and_quantizing_twice_changes_nothing(
    values: list[float], bits: int, symmetric: bool
) -> None:
    x, grid = torch.tensor(values), Grid(bits, symmetric)
    if symmetric:
        scale, zero = symmetric_scale(x.abs().max(), grid), None
    else:
        scale, zero = asymmetric_parameters(x.min(), x.max(), grid)
    once = fake_quantize(x, scale, zero, grid)
    # Rounding the zero point may push an end of an asymmetric range out by half a step more.
    bound = 0.5 if symmetric else 1.0
    assert float(((x - once) / scale).abs().max()) <= bound + 1e-3
    assert torch.equal(fake_quantize(once, scale, zero, grid), once)


def test_per_channel_scales_come_from_each_output_channel() -> None:
    weight, grid = sample(0, 5, 3, 2, 2), Grid(4, True)
    scale = symmetric_scale(channel_amax(weight), grid)
    assert scale.shape == (5, 1, 1, 1)
    for channel in range(5):
        assert scale[channel].item() == pytest.approx(float(weight[channel].abs().max()) / 7)
        alone = fake_quantize(weight[channel], scale[channel], None, grid)
        assert torch.equal(fake_quantize(weight, scale, None, grid)[channel], alone)


@pytest.mark.parametrize("bits", BITS)
def test_asymmetric_channels_have_a_zero_point_each(bits: int) -> None:
    x, grid = sample(bits, 5, 40) + torch.arange(-2.0, 3)[:, None], Grid(bits, symmetric=False)
    scale, zero = asymmetric_parameters(x.amin(1, keepdim=True), x.amax(1, keepdim=True), grid)
    assert len(zero.unique()) > 1
    together, codes = fake_quantize(x, scale, zero, grid), quantize(x, scale, zero, grid)
    assert torch.equal(dequantize(codes, scale, zero), together)
    assert torch.equal(fake_quantize(together, scale, zero, grid), together)
    for row in range(5):
        assert codes[row].tolist() == slow_codes(x[row], scale[row].item(), int(zero[row]), grid)
        assert torch.equal(together[row], fake_quantize(x[row], scale[row], zero[row], grid))


def test_gradients_pass_where_each_channels_own_range_ends() -> None:
    x = torch.tensor([[-2.0, 0.0, 2.0], [-2.0, 0.0, 2.0]], requires_grad=True)
    fake_quantize(x, torch.ones(2, 1), torch.tensor([[0.0], [3.0]]), Grid(2, False)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]


def test_half_precision_amax_still_gives_a_float32_scale() -> None:
    assert symmetric_scale(torch.tensor(1.0, dtype=torch.float16), Grid(8, True)).dtype == torch.float32


def test_gradient_is_one_inside_the_range_and_zero_outside() -> None:
    x = torch.tensor([-9.0, -1.2, 0.0, 1.9, 2.4, 2.6, 9.0], requires_grad=True)
    one = torch.tensor(1.0)
    out = fake_quantize(x, one, one, Grid(2, False))
    out.backward(torch.arange(1.0, 8.0))
    assert x.grad is not None
    # 2.4 rounds to the last code, 2.6 beyond it.
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0]


def test_forward_is_the_same_with_and_without_gradient() -> None:
    x = sample(3, 100)
    scale, zero = asymmetric_parameters(x.min() / 2, x.max() / 2, Grid(4, False))
    plain = fake_quantize(x, scale, zero, Grid(4, False))
    assert torch.equal(plain, fake_quantize(x.clone().requires_grad_(), scale, zero, Grid(4, False)))


def test_the_input_is_left_alone() -> None:
    x = sample(4, 10)
    before = x.clone()
    fake_quantize(x, torch.tensor(0.5), None, Grid(3, True))
    assert torch.equal(x, before)
