from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import UsageError
from reliability.quant.formats.weights import WeightFormat, integer_format
from reliability.quant.layers import QuantLayer, QuantLinear, put_weight, scales_of
from reliability.quant.methods import hqq
from reliability.quant.methods.hqq import HqqSettings, shrink
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.surgery import split_attention
from reliability.quant.towers import gemm_layers

FORMATS = {
    "channel": integer_format(4),
    "zero_point": integer_format(3, symmetric=False),
    "groups": integer_format(4, 32),
    "groups_zero_point": integer_format(4, 32, symmetric=False),
    "tensor": integer_format(5, "tensor", symmetric=False),
}


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def quantized(weight: Tensor, form: WeightFormat) -> QuantLinear:
    source = nn.Linear(weight.shape[1], weight.shape[0])
    source.weight.data.copy_(weight)
    return QuantLinear(source, form, nn.Identity())


def heavy_tailed(rows: int = 12, columns: int = 70) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, columns, generator=generator) ** 3 + 0.3


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_no_scale_has_a_larger_error_than_at_first_and_the_layer_a_smaller_one(form: WeightFormat) -> None:
    weight = heavy_tailed()
    layer = quantized(weight, form)

    def errors() -> Tensor:
        parts = form.sharing.split(weight - layer.weight)
        return parts.abs().double().pow(0.7).sum(form.sharing.dims(parts))

    before = errors()
    put_weight(layer, weight, hqq.solve(layer, weight, hqq.DEFAULTS))
    assert bool((errors() <= before).all())
    assert float(errors().sum()) < float(before.sum())
    assert form.steps_off(layer.weight, scales_of(layer)) < 1e-3
    assert hqq.norm_error(layer, weight, 0.7) == pytest.approx(float(errors().sum()))


@pytest.mark.parametrize("name", ["w4a8-hqq-both", "w3a16_g32_asym-hqq-both", "w8a16-hqq"])
def test_every_layer_of_a_model_has_a_smaller_error(vit: nn.Module, small_data: RangeData, name: str) -> None:
    plain = prepare(vit, small(name.replace("hqq", "rtn")), small_data)
    layers: dict[str, Any] = gemm_layers(prepare(vit, small(name), small_data), "both")
    nearest: dict[str, Any] = gemm_layers(plain, "both")
    floats = gemm_layers(split_attention(copy.deepcopy(vit)), "both")
    compared = [key for key, layer in layers.items() if hasattr(layer, "weight_scale")]
    assert len(compared) >= 14
    for key in compared:
        assert error_of(layers[key], floats[key].weight) < error_of(nearest[key], floats[key].weight), key


def error_of(layer: QuantLayer, weight: Tensor) -> float:
    return hqq.norm_error(layer, weight.detach(), 0.7)


def test_shrinking_by_hand() -> None:
    # |x| - |x|^(-.3) / 10: .5 - 1.2311 / 10, and below (1/10)^(1/1.3) = .17 nothing is left.
    made = shrink(torch.tensor([0.5, -0.5, 0.17, 0.18, 0.0], dtype=torch.float64), 0.7, 10.0)
    assert made.tolist() == pytest.approx([0.376886, -0.376886, 0.0, 0.012735, 0.0], abs=1e-5)


def test_one_outlier_is_borne_with() -> None:
    # Codes of nearest rounding are 0 for all but the outlier; what is left over is a grid for the rest.
    weight = torch.cat([torch.linspace(-1, 1, 63), torch.tensor([9.0])])[None]
    layer = quantized(weight, integer_format(4))
    before = float(layer.weight_scale)
    scales = hqq.solve(layer, weight, HqqSettings(iterations=200))
    assert float(scales.scale) < before


def test_the_zero_point_stays_a_code() -> None:
    form = integer_format(3, symmetric=False)
    layer = quantized(heavy_tailed().abs() + 2, form)
    zero = hqq.solve(layer, heavy_tailed().abs() + 2, hqq.DEFAULTS).zero_point
    assert zero is not None
    assert bool(((zero == zero.round()) & (zero >= 0) & (zero <= 7)).all())


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_weights_on_the_grid_and_zero_weights_stay(form: WeightFormat) -> None:
    first = quantized(heavy_tailed(), form).weight.detach()
    first[0] = 0
    layer = quantized(first, form)
    kept = layer.weight.detach().clone()
    put_weight(layer, kept, hqq.solve(layer, kept, hqq.DEFAULTS))
    torch.testing.assert_close(layer.weight, kept, rtol=1e-5, atol=1e-6)


def test_no_iteration_is_rounding_to_nearest() -> None:
    layer = quantized(heavy_tailed(), integer_format(4))
    assert torch.equal(hqq.solve(layer, heavy_tailed(), HqqSettings(iterations=0)).scale, layer.weight_scale)


@pytest.mark.parametrize("name", ["w4a8-hqq-both", "w4a16_g32_asym-hqq"])
def test_a_skeleton_restores_it_and_a_second_time_gives_the_same_bits(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    first, second = prepare(vit, small(name), small_data), prepare(vit, small(name), small_data)
    restored = skeleton(vit, small(name))
    restored.load_state_dict(first.state_dict())
    for other in (second, restored):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items())


@pytest.mark.parametrize("name", ["mxfp4-hqq", "fp8-hqq", "w4a16_g64-awq+hqq", "w4a4-hqq+lsq"])
def test_formats_and_pairs_without_sense_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"integer codes|set them again|training rounds to nearest"):
        parse_recipe(name)
