from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reliability.quant.formats.values import E2M1, E2M3, E4M3, E5M2, Integers, Minifloat, Scales, floor_log2

MINIFLOATS = {"E4M3": E4M3, "E5M2": E5M2, "E2M3": E2M3, "E2M1": E2M1}
ONE = Scales(torch.tensor(1.0))


@pytest.fixture(scope="module", params=MINIFLOATS)
def pair(request: pytest.FixtureRequest, slow_quant: SimpleNamespace) -> tuple[Minifloat, list[Fraction]]:
    """A minifloat and its non-negative values."""
    return MINIFLOATS[request.param], getattr(slow_quant, request.param)


def floats(values: list[Fraction]) -> Tensor:
    return torch.tensor([float(value) for value in values])


def patterns() -> Tensor:
    """Every sign, exponent and first 7 bits of a fraction, with rest 0, least, just below half, half, and full."""
    head = torch.arange(1 << 16, dtype=torch.int64) << 16
    rest = torch.tensor([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    return (head[:, None] | rest).flatten().to(torch.int32).view(torch.float32)


def test_the_smallest_format_has_the_values_everyone_knows(slow_quant: SimpleNamespace) -> None:
    assert floats(slow_quant.E2M1).tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert [len(slow_quant.E4M3), len(slow_quant.E5M2), len(slow_quant.E2M3)] == [127, 124, 32]
    assert [form.bits for form in MINIFLOATS.values()] == [8, 8, 6, 4]


def test_every_value_of_a_format_stays_as_it_is(pair: Any) -> None:
    form, values = pair
    x = floats(values)
    assert torch.equal(form.nearest(x), x)
    assert torch.equal(form.nearest(-x), -x)
    assert form.steps_off(x, ONE).max() == 0


def test_midpoints_go_to_the_even_mantissa_and_their_neighbours_to_the_nearest(pair: Any) -> None:
    form, values = pair
    x = floats(values)
    middle = (x[1:] + x[:-1]) / 2
    even = x[torch.arange(len(middle)) + torch.arange(len(middle)) % 2]
    assert torch.equal(form.nearest(middle), even)
    for toward, expected in ((-torch.inf, x[:-1]), (torch.inf, x[1:])):
        beside = torch.nextafter(middle, torch.tensor(toward))
        assert torch.equal(form.nearest(beside), expected)
        assert torch.equal(form.nearest(-beside), -expected)


def test_beyond_the_largest_value_everything_is_clamped(pair: Any) -> None:
    form, values = pair
    x = torch.tensor([form.largest * 1.001, form.largest * 2, 3e38, torch.inf])
    assert float(values[-1]) == form.largest
    assert torch.equal(form.nearest(x), torch.full((4,), form.largest))
    assert torch.equal(form.nearest(-x), torch.full((4,), -form.largest))
    assert form.nearest(torch.tensor(torch.nan)).isnan()


def test_the_nearest_value_matches_a_search_through_all(pair: Any, slow_quant: SimpleNamespace) -> None:
    form, values = pair
    generator = torch.Generator().manual_seed(0)
    exponents = torch.randint(-20, 18, (300,), generator=generator)
    x = torch.randn(300, generator=generator) * 2.0**exponents
    assert form.nearest(x).tolist() == [slow_quant.nearest(value, values) for value in x.tolist()]


@pytest.mark.parametrize(("form", "name"), [(E4M3, "float8_e4m3fn"), (E5M2, "float8_e5m2")])
def test_eight_bit_floats_equal_torchs_own_cast_in_every_bit(form: Minifloat, name: str) -> None:
    x = patterns()
    x = x[~x.isnan()]
    expected = x.clamp(-form.largest, form.largest).to(getattr(torch, name)).float()
    assert torch.equal(form.nearest(x).view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize(("form", "name"), [(E2M1, "float4_e2m1fn"), (E2M3, "float6_e2m3fn")])
def test_smaller_floats_equal_another_librarys_cast_in_every_bit(form: Minifloat, name: str) -> None:
    # torch has a type for E2M1, but no cast to it.
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = patterns()
    x = x[~x.isnan()].clamp(-form.largest, form.largest)
    expected = torch.from_numpy(x.numpy().astype(getattr(ml_dtypes, name)).astype("float32"))
    assert torch.equal(form.nearest(x).view(torch.int32), expected.view(torch.int32))


def test_what_is_given_is_left_alone(pair: Any) -> None:
    x = torch.tensor([0.3, 1e9])
    pair[0].nearest(x)
    pair[0].steps_off(x, ONE)
    assert x.tolist() == pytest.approx([0.3, 1e9])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), st.sampled_from(list(MINIFLOATS.values())))
def test_rounding_keeps_order_and_sign_and_is_never_off_by_more_than_half_the_spacing(
    numbers: list[float], form: Minifloat
) -> None:
    x = torch.tensor(numbers).sort().values
    y = form.nearest(x)
    assert (y.diff() >= 0).all()
    assert torch.equal(form.nearest(-x), -y)
    assert torch.equal(form.nearest(y), y)
    inside = x.abs() <= form.largest
    assert ((x - y).abs() <= form.spacing(x) / 2)[inside].all()


def test_spacing_by_hand() -> None:
    x = torch.tensor([0.0, 0.9, 1.0, 1.99, 2.0, 5.9, 100.0])
    assert E2M1.spacing(x).tolist() == [0.5, 0.5, 0.5, 0.5, 1, 2, 2]


def test_gradient_of_a_minifloat_is_one_where_nothing_clips() -> None:
    # With a spacing of 2 at the top, 6.9 rounds to 6 and 7.1 would round to 8.
    x = torch.tensor([-7.1, -6.9, 0.1, 2.6, 6.9, 7.1], requires_grad=True)
    out = E2M1.snap(x, ONE)
    out.backward(torch.arange(1.0, 7.0))
    assert out.tolist() == [-6, -6, 0, 3, 6, 6]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 0]


def test_integers_around_a_zero_point_of_each_channel() -> None:
    x = torch.tensor([[-1.0, 0.4, 2.0], [-3.0, 0.4, 0.0]])
    scales = Scales(torch.ones(2, 1), torch.tensor([[1.0], [3.0]]))
    assert Integers(2, symmetric=False).snap(x, scales).tolist() == [[-1, 0, 2], [-3, 0, 0]]
    off = Integers(2, symmetric=False).steps_off(x, scales)
    torch.testing.assert_close(off, torch.tensor([[0, 0.4, 0], [0, 0.4, 0]]))


def test_two_scales_multiply_and_an_underflow_becomes_one() -> None:
    assert Scales(torch.tensor(2.0), outer=torch.tensor(0.25)).step == 0.5
    assert Scales(torch.tensor(1e-30), outer=torch.tensor(1e-30)).step == 1.0


@pytest.mark.parametrize(("x", "exponent"), [(1.0, 0), (448.0, 8), (7.999, 2), (0.5, -1), (127.0, 6)])
def test_exponents_by_hand(x: float, exponent: int) -> None:
    assert floor_log2(x) == exponent
