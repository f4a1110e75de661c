"""The same integer schemes in torch, torchao and optimum-quanto, the latter two where they are installed."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor

from reliability.quant.affine import quantize
from reliability.quant.formats.values import Integers, Scales
from reliability.quant.formats.weights import WeightFormat, integer_format
from reliability.quant.quantizers import DynamicQuantizer, StaticQuantizer
from reliability.torchvision_shim import ensure_torchvision_imports

ROWS, COLUMNS = 48, 256
SCHEMES = [
    (bits, granularity, symmetric)
    for bits in (8, 6, 4, 3)
    for granularity in ("tensor", "channel", 32, 64, 128)
    for symmetric in (True, False)
]
CLOSE = 2.0**-22
"""Share of its size by which a product with a reciprocal can miss a quotient: two roundings of float32."""


@pytest.fixture(scope="module")
def torchao() -> Any:
    os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
    return pytest.importorskip("torchao.quantization.quant_primitives")


@pytest.fixture(scope="module")
def quanto() -> Any:
    ensure_torchvision_imports()  # it imports transformers, which looks for torchvision
    return pytest.importorskip("optimum.quanto")


def weight(seed: int = 0) -> Tensor:
    """Rows of very different sizes, both signs in every group of 32, some values right between two codes."""
    x = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed)) * torch.logspace(-3, 3, ROWS)[:, None]
    half = x.abs().amax(dim=1, keepdim=True) / 254
    x[:, ::7] = (x[:, ::7] / half).round() * half
    return x


def ours(form: WeightFormat, x: Tensor) -> tuple[Tensor, Scales]:
    """Codes and scales, in the parts that share one."""
    assert isinstance(form.values, Integers)
    scales = form.scales(x)
    return quantize(form.sharing.split(x), scales.scale, scales.zero_point, form.values.grid), scales


def assert_the_same_up_to_a_reciprocal(codes: Tensor, other: Tensor, steps: Tensor) -> None:
    """Codes differ by 1 at most, and only where the quotient is a midpoint as far as float32 can tell."""
    differ = codes != other
    assert int((codes - other).abs().max()) <= 1
    to_midpoint = (steps.double() - steps.double().floor() - 0.5).abs()
    assert bool((to_midpoint[differ] <= CLOSE * steps.double().abs()[differ]).all())
    assert differ.float().mean() < 0.05  # only what was put between two codes


def exact_steps(x: Tensor, scale: Tensor) -> Tensor:
    return x.double() / scale.double()


@pytest.mark.parametrize("symmetric", [True, False])
def test_torchs_own_kernel_gives_the_same_codes_per_channel(symmetric: bool) -> None:
    form, x = integer_format(8, "channel", symmetric), weight()
    codes, scales = ours(form, x)
    zero = torch.zeros(ROWS) if scales.zero_point is None else scales.zero_point.flatten()
    ends = form.values.grid.qmin, form.values.grid.qmax  # type: ignore[attr-defined]
    values = torch.fake_quantize_per_channel_affine(x, scales.scale.flatten(), zero.to(torch.int32), 0, *ends)
    other = (values / scales.scale).round() + zero[:, None]
    assert_the_same_up_to_a_reciprocal(codes, other.to(torch.int32), exact_steps(x, scales.scale))


@pytest.mark.parametrize(("bits", "granularity", "symmetric"), SCHEMES)
def test_torchao_gives_the_same_scales_and_codes(torchao: Any, bits: int, granularity: Any, symmetric: bool) -> None:
    form, x = integer_format(bits, granularity, symmetric), weight()
    codes, scales = ours(form, x)
    block = {"tensor": (ROWS, COLUMNS), "channel": (1, COLUMNS)}.get(granularity, (1, granularity))
    ends = form.values.grid.qmin, form.values.grid.qmax  # type: ignore[attr-defined]
    kind = torchao.MappingType.SYMMETRIC if symmetric else torchao.MappingType.ASYMMETRIC
    stored = torch.int8 if symmetric else torch.uint8
    scale, zero = torchao.choose_qparams_affine(x, kind, block, stored, *ends, eps=1e-30)
    assert torch.equal(scale.flatten(), scales.scale.flatten())
    if scales.zero_point is not None:
        assert torch.equal(zero.flatten().float(), scales.zero_point.flatten())
    other = torchao.quantize_affine(x, block, scale, zero, stored, *ends)
    parts = form.sharing.split(x)
    assert_the_same_up_to_a_reciprocal(codes, other.to(torch.int32).view_as(codes), exact_steps(parts, scales.scale))


def test_torchao_gives_the_same_codes_per_token(torchao: Any) -> None:
    x = weight(1).view(4, 12, COLUMNS)
    scale, zero = torchao.choose_qparams_affine(
        x, torchao.MappingType.SYMMETRIC, (1, 1, COLUMNS), torch.int8, -127, 127, eps=1e-30, keepdim=True
    )
    other = torchao.quantize_affine(x, (1, 1, COLUMNS), scale, zero, torch.int8, -127, 127).to(torch.int32)
    codes = (DynamicQuantizer(Integers(8), (-1,))(x) / scale).round().to(torch.int32)
    assert_the_same_up_to_a_reciprocal(codes, other, exact_steps(x, scale))


def test_torchao_gives_the_same_codes_for_a_static_range(torchao: Any) -> None:
    x, quantizer = weight(2)[-8:] + 0.3, StaticQuantizer(8)
    quantizer.set_range(x.min(), x.max())
    whole = tuple(x.shape)
    scale, zero = torchao.choose_qparams_affine(x, torchao.MappingType.ASYMMETRIC, whole, torch.uint8, 0, 255)
    assert torch.equal(scale.view(()), quantizer.scale)
    assert float(zero) == float(quantizer.zero_point)
    other = torchao.quantize_affine(x, whole, scale, zero, torch.uint8, 0, 255).to(torch.int32)
    codes = quantize(x, quantizer.scale, quantizer.zero_point, quantizer.grid)
    assert_the_same_up_to_a_reciprocal(codes, other, exact_steps(x, quantizer.scale))


def test_optimum_quanto_gives_the_same_int8_weights_bit_for_bit(quanto: Any) -> None:
    form, x = integer_format(8), weight()
    codes, scales = ours(form, x)
    other = quanto.quantize_weight(x, quanto.qint8, 0, quanto.AbsmaxOptimizer()(x, quanto.qint8, 0), optimized=False)
    assert torch.equal(other._scale, scales.scale)
    assert torch.equal(other._data.to(torch.int32), codes)
    assert torch.equal(other.dequantize(), form.snap(x, scales))


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("group", [32, 64, 128])
def test_optimum_quanto_gives_the_same_groups_with_a_zero_point_bit_for_bit(quanto: Any, bits: int, group: int) -> None:
    form, x = integer_format(bits, group, symmetric=False), weight()
    kind = {4: quanto.qint4, 2: quanto.qint2}[bits]
    codes, scales = ours(form, x)
    scale, shift = quanto.MaxOptimizer()(x, kind, 0, group, zeropoint=True)
    # The step inside quantize_weight: packing its codes would compile an extension.
    other = torch.ops.quanto.quantize_affine(x, bits, 0, group, scale, shift)
    assert scales.zero_point is not None
    assert torch.equal(scale.flatten(), scales.scale.flatten())
    assert torch.equal(shift.flatten().float(), scales.zero_point.flatten())
    assert torch.equal(other.to(torch.int32).view_as(codes), codes)


def test_optimum_quanto_gives_the_same_int8_activations_bit_for_bit(quanto: Any) -> None:
    x = weight(3)
    scale = x.abs().max() / 127
    other = quanto.quantize_activation(x, qtype=quanto.qint8, scale=scale)
    assert torch.equal(other.dequantize(), Integers(8).snap(x, Scales(scale)))
