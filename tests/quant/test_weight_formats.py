from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reliability.quant.formats.sharing import columns, from_blocks, from_columns, to_blocks
from reliability.quant.formats.values import Minifloat
from reliability.quant.formats.weights import WeightFormat, weight_format
from reliability.quant.number_format import FAMILIES
from reliability.quant.recipe import parse_recipe

INTEGERS = [
    "int2",
    "int3",
    "int4",
    "int8",
    "int4_t",
    "int4_g32",
    "int4_asym",
    "int2_asym",
    "int8_t_asym",
    "int4_g32_asym",
]
MICROSCALING = [f"{name}{ceil}" for name in ("mxfp8", "mxfp6", "mxfp4", "mxint8") for ceil in ("", "_ceil")]
EVERY = [*INTEGERS, "fp8", "fp8e5m2", *MICROSCALING, "nvfp4"]
SHARED_BY = {"nvfp4": 16} | {name: 32 for name in EVERY if name.startswith("mx") or "g32" in name}

# Half the spacing at the top, or what clipping takes off where the scale may clip.
WORST = {
    "fp8": 16, "fp8e5m2": 4096, "mxfp8": 64, "mxfp8_ceil": 16, "mxfp6": 0.5, "mxfp6_ceil": 0.25,
    "mxfp4": 2, "mxfp4_ceil": 1, "mxint8": 1, "mxint8_ceil": 0.5, "nvfp4": 1,
}  # fmt: skip


def form(name: str) -> WeightFormat:
    """``int4_g32`` as weights of ``w4a8_g32-rtn``; the others are named as recipes are."""
    bits, *suffixes = name.removeprefix("int").split("_")
    return weight_format(
        parse_recipe(f"{'_'.join([f'w{bits}a8', *suffixes])}-rtn" if name[0] == "i" else f"{name}-rtn")
    )


def sample(*shape: int, seed: int = 0) -> Tensor:
    """Rows of very different size, the first one large."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.1 + 0.02
    x[0] *= 20
    return x


def snapped(weight: Tensor, name: str) -> Tensor:
    return form(name).snap(weight, form(name).scales(weight))


def scale_like(weight: Tensor, name: str) -> Tensor:
    """The scale of every element."""
    scales, sharing = form(name).scales(weight), form(name).sharing
    return sharing.merge(scales.step.expand(sharing.split(weight).shape), weight.shape)


def test_every_family_of_the_grammar_has_a_format() -> None:
    assert {name.removesuffix("_ceil") for name in EVERY if not name.startswith("int")} == set(FAMILIES)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(3, 70), (4, 32), (2, 5, 3, 3), (3, 1)], ids=str)
def test_values_match_a_slow_second_implementation(
    name: str, shape: tuple[int, ...], slow_quant: SimpleNamespace
) -> None:
    weight = sample(*shape)
    assert snapped(weight, name).tolist() == slow_quant.snap_weight(weight.numpy(), name).tolist()


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(
        st.one_of(st.just(0.0), st.floats(-10, 10), st.floats(-1e-36, 1e-36), st.floats(-1e38, 1e38)),
        min_size=1,
        max_size=70,
    )
)
def test_any_numbers_match_it_and_stay_when_snapped_again(
    name: str, slow_quant: SimpleNamespace, numbers: list[float]
) -> None:
    weight = torch.tensor([numbers], dtype=torch.float32)
    scales = form(name).scales(weight)
    once = form(name).snap(weight, scales)
    assert once.tolist() == slow_quant.snap_weight(weight.numpy(), name).tolist()
    assert once.isfinite().all()
    if scales.step.min() > 1e-36:  # below, a product of code and scale loses bits to underflow
        assert torch.equal(form(name).snap(once, scales), once)
        assert form(name).steps_off(once, scales) < 1e-3


@pytest.mark.parametrize("name", EVERY)
def test_the_worst_error_in_units_of_the_scale(name: str) -> None:
    weight = torch.cat([sample(40, 70, seed=seed) for seed in range(5)])
    error = ((weight - snapped(weight, name)) / scale_like(weight, name)).abs()
    worst = WORST.get(name, 1.0 if "asym" in name else 0.5)
    assert 0.6 * worst < error.max() <= worst * (1 + 1e-4) if "asym" not in name else error.max() <= worst


@pytest.mark.parametrize("name", EVERY)
def test_snapping_twice_changes_nothing(name: str) -> None:
    weight = sample(6, 70)
    scales = form(name).scales(weight)
    once = form(name).snap(weight, scales)
    assert torch.equal(form(name).snap(once, scales), once)
    if name.startswith("mx"):
        assert torch.equal(snapped(once, name), once)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "nvfp4" and "asym" not in name])
@pytest.mark.parametrize("exponent", [-9, 0, 5])
def test_representable_values_make_the_round_trip(name: str, exponent: int, slow_quant: SimpleNamespace) -> None:
    values = {"fp8": "E4M3", "fp8e5m2": "E5M2", "mxfp8": "E4M3", "mxfp6": "E2M3", "mxfp4": "E2M1"}
    family = name.removesuffix("_ceil")
    listed = (
        getattr(slow_quant, values[family]) if family in values else slow_quant.integer_values(form(name).values.bits)
    )
    rest = torch.tensor([float(value) for value in listed]) * 2.0**exponent
    size = form(name).sharing.unit
    step = size - 1 if isinstance(size, int) else len(rest)
    for start in range(0, len(rest), step):
        part = torch.cat([rest[start : start + step], rest[-1:]])  # the largest fixes the scale
        assert torch.equal(snapped(part[None], name), part[None])
        assert torch.equal(snapped(-part[None], name), -part[None])


def test_representable_nvfp4_values_make_the_round_trip() -> None:
    values = torch.tensor([0, 0.5, 1, 1.5, -2, 3, -4, 6] * 2)
    weight = torch.stack([values * 448, values * 26, values / 64]).view(1, 48) / 8
    assert torch.equal(snapped(weight, "nvfp4"), weight)


def test_representable_asymmetric_values_make_the_round_trip() -> None:
    weight = torch.arange(-3, 13.0).view(1, 16) / 4
    assert torch.equal(snapped(weight, "int4_asym"), weight)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value", [0.0, 1e-45, -3e-39, 0.7, -2.5, 1e38])
def test_one_element_is_kept_up_to_the_precision_of_its_scale(name: str, value: float) -> None:
    weight = torch.tensor([[value]])
    out = snapped(weight, name)
    assert out.isfinite().all()
    if abs(value) > 1e-6:
        assert out.item() == pytest.approx(
            value, rel=0.34 if name.startswith("mx") else 1e-6 if name != "nvfp4" else 0.02
        )


@pytest.mark.parametrize("name", EVERY)
def test_zeros_stay_zeros(name: str) -> None:
    weight = torch.zeros(2, 40)
    scales = form(name).scales(weight)
    assert torch.equal(form(name).snap(weight, scales), weight)
    assert (scales.scale == 1).all()
    assert form(name).steps_off(weight, scales) == 0


@pytest.mark.parametrize("name", EVERY)
def test_output_channels_in_another_order_give_the_same_values(name: str) -> None:
    weight, order = sample(5, 70), torch.tensor([3, 0, 4, 1, 2])
    assert torch.equal(snapped(weight[order], name), snapped(weight, name)[order])


@pytest.mark.parametrize("name", EVERY)
def test_inputs_may_change_places_within_what_shares_a_scale(name: str) -> None:
    weight = sample(4, 64)
    size = SHARED_BY.get(name, 64)
    order = torch.cat([start + torch.arange(size).flip(0) for start in range(0, 64, size)])
    assert torch.equal(snapped(weight[:, order], name), snapped(weight, name)[:, order])


@pytest.mark.parametrize("name", [name for name in EVERY if "asym" not in name])
def test_opposite_weights_have_opposite_values(name: str) -> None:
    weight = sample(4, 70)
    assert torch.equal(snapped(-weight, name), -snapped(weight, name))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("factor", [2.0**-20, 0.25, 2.0**30])
def test_a_power_of_two_passes_through(name: str, factor: float) -> None:
    weight = sample(4, 70)
    assert torch.equal(snapped(weight * factor, name), snapped(weight, name) * factor)


@pytest.mark.parametrize("name", EVERY)
def test_a_convolution_of_one_pixel_is_a_linear_layer(name: str) -> None:
    weight = sample(4, 70)
    assert torch.equal(snapped(weight[:, :, None, None], name)[:, :, 0, 0], snapped(weight, name))


@pytest.mark.parametrize("name", SHARED_BY)
def test_the_last_group_of_a_channel_is_shorter_with_a_scale_of_its_own(name: str) -> None:
    weight, size = sample(3, 70), SHARED_BY[name]
    alone = weight.clone()
    alone[:, -(70 % size) :] /= 1024
    apart = snapped(alone, name)
    assert form(name).scales(weight).scale.shape == (3, -(-70 // size), 1)
    assert torch.equal(apart[:, : 70 - 70 % size], snapped(weight, name)[:, : 70 - 70 % size])
    if name != "nvfp4":
        assert torch.equal(apart[:, 70 - 70 % size :] * 1024, snapped(weight, name)[:, 70 - 70 % size :])


def test_groups_of_a_convolution_take_channels_of_one_position() -> None:
    weight = sample(2, 32, 3, 3)
    out = snapped(weight, "mxfp4")
    assert torch.equal(out[:, :, 1, 2], snapped(weight[:, :, 1, 2].contiguous(), "mxfp4"))
    assert out.is_contiguous()


@given(st.integers(1, 80), st.integers(1, 40))
def test_blocks_and_columns_can_be_undone(width: int, size: int) -> None:
    x = torch.arange(3.0 * width).view(3, width)
    assert to_blocks(x, size).shape == (3, -(-width // size), size)
    assert torch.equal(from_blocks(to_blocks(x, size), width), x)
    kernel = torch.arange(2.0 * width * 6).view(2, width, 3, 2)
    assert torch.equal(from_columns(columns(kernel), kernel.shape), kernel)


@pytest.mark.parametrize("name", MICROSCALING)
def test_microscaling_scales_are_powers_of_two_and_ceil_never_clips(name: str) -> None:
    weight = torch.cat([sample(6, 70), torch.full((1, 70), 7.99)])
    scale = form(name).scales(weight).scale
    mantissas, _ = torch.frexp(scale)
    assert (mantissas == 0.5).all()
    if hasattr(torch, "float8_e8m0fnu"):
        assert torch.equal(scale.to(torch.float8_e8m0fnu).float(), scale)
    over = (to_blocks(weight, 32) / scale).abs().max()
    assert (over <= form(name).values.largest) == ("ceil" in name)


def test_scales_by_hand() -> None:
    weight = torch.tensor([[7.9, 0.1]])
    assert form("mxfp4").scales(weight).scale.item() == 1.0
    assert form("mxfp4_ceil").scales(weight).scale.item() == 2.0
    assert snapped(weight, "mxfp4").tolist() == [[6.0, 0.0]]
    assert form("fp8").scales(weight).scale.item() == pytest.approx(7.9 / 448)
    block, outer = form("nvfp4").scales(weight).scale, form("nvfp4").scales(weight).outer
    assert outer is not None
    assert (block.item(), outer.item()) == (448.0, pytest.approx(7.9 / 2688))
    scale, zero, _ = form("int2_asym").scales(torch.tensor([[-1.0, 2.0]]))
    assert zero is not None
    assert (scale.item(), zero.item()) == (1.0, 1.0)


@pytest.mark.parametrize("name", EVERY)
def test_a_weight_off_its_grid_is_measured_in_steps(name: str) -> None:
    weight = sample(4, 70)
    scales = form(name).scales(weight)
    good = form(name).snap(weight, scales)
    assert form(name).steps_off(good, scales) < 1e-4
    bad, step = good.clone(), scale_like(weight, name)[2, 69]
    values = form(name).values
    spacing = values.spacing(good[2, 69] / step) if isinstance(values, Minifloat) else 1.0
    bad[2, 69] += 0.3 * step * spacing
    assert form(name).steps_off(bad, scales) == pytest.approx(0.3, rel=1e-2)


@pytest.mark.parametrize("name", EVERY)
def test_a_weight_beyond_the_largest_value_is_off_the_grid(name: str) -> None:
    weight = sample(4, 70)
    scales, step = form(name).scales(weight), scale_like(weight, name)
    bad = form(name).snap(weight, scales)
    bad[2, 69] = 2 ** math.ceil(math.log2(form(name).values.largest + 1)) * step[2, 69]
    assert form(name).steps_off(bad, scales) >= 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("mxfp8", {"scale": 1.5}),
        ("nvfp4", {"scale": 1.03}),
        ("int4_asym", {"zero_point": 0.7}),
        ("int8", {"scale": -1.0}),
        ("fp8", {"scale": 0.0}),
    ],
)
def test_a_scale_that_the_format_cannot_store_is_off_without_bound(name: str, fault: dict[str, float]) -> None:
    scales = form(name).scales(sample(4, 70))
    spoiled = scales._replace(**{key: getattr(scales, key) * factor for key, factor in fault.items()})
    assert form(name).steps_off(torch.zeros(4, 70), spoiled) == torch.inf


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("int8", 8 * 700 + 32 * 10),
        ("int4_t", 4 * 700 + 32),
        ("int4_g32", 4 * 700 + 32 * 30),
        ("int4_asym", 4 * 700 + 36 * 10),
        ("fp8", 8 * 700 + 32 * 10),
        ("mxfp8", 8 * 700 + 8 * 30),
        ("mxfp6", 6 * 700 + 8 * 30),
        ("mxfp4_ceil", 4 * 700 + 8 * 30),
        ("nvfp4", 4 * 700 + 8 * 50 + 32),
    ],
)
def test_storage_counts_codes_scales_and_zero_points(name: str, bits: int) -> None:
    assert form(name).storage_bits(torch.Size([10, 70])) == bits
    assert form(name).storage_bits(torch.Size([10, 7, 5, 2])) == bits


@pytest.mark.parametrize("name", EVERY)
def test_gradients_pass_through_groups_and_padding(name: str) -> None:
    weight = sample(4, 70).requires_grad_()
    scales = form(name).scales(weight)
    out = form(name).snap(weight, scales)
    assert torch.equal(out.detach(), form(name).snap(weight.detach(), scales))
    out.sum().backward()
    assert weight.grad is not None
    assert set(weight.grad.unique().tolist()) <= {0.0, 1.0}
    assert weight.grad.mean() > 0.9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_bits() -> None:
    weight = sample(64, 70)
    for name in EVERY:
        assert torch.equal(snapped(weight.cuda(), name).cpu(), snapped(weight, name)), name
