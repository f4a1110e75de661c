from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reliability.quant.formats.weights import weight_format
from reliability.quant.packing import CODES, ZERO_SIGNS, pack, unpack
from reliability.quant.recipe import parse_recipe

FORMATS = [
    "w8a8-minmax", "w7a8-minmax", "w4a8-minmax", "w3a8-minmax", "w2a8-minmax", "w4a8_t-minmax", "w4a8_g32-minmax",
    "w4a8_asym-minmax", "w3a8_g64_asym-minmax", "fp8-minmax", "fp8e5m2-minmax", "mxfp8-rtn", "mxfp6-rtn", "mxfp4-rtn",
    "mxfp4_ceil-rtn", "mxint8-rtn", "nvfp4-rtn", "w3a16-raana",
]  # fmt: skip


def bits_of(x: Tensor) -> Tensor:
    return x.contiguous().view(torch.int32)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(6, 70), (5, 3, 4, 4)])
def test_codes_give_back_every_bit_of_a_weight_on_its_grid(name: str, shape: tuple[int, ...]) -> None:
    format = weight_format(parse_recipe(name))
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.1
    scales = format.scales(weight)
    snapped = format.snap(weight, scales)
    packed = pack(snapped, format, scales)
    assert packed is not None
    assert torch.equal(bits_of(unpack(packed, format, scales, snapped.shape)), bits_of(snapped))


@pytest.mark.parametrize(("name", "bits"), [("w8a8-minmax", 8), ("w4a8-minmax", 4), ("w3a8-minmax", 3)])
def test_codes_take_up_their_width_and_no_more(name: str, bits: int) -> None:
    format = weight_format(parse_recipe(name))
    weight = torch.randn(16, 32)
    packed = pack(format.snap(weight, format.scales(weight)), format, format.scales(weight))
    assert packed is not None
    assert packed.keys() == {CODES}
    assert packed[CODES].numel() == 16 * 32 * bits // 8


def test_a_negative_zero_of_integers_with_a_zero_point_is_kept() -> None:
    format = weight_format(parse_recipe("w4a8_asym-minmax"))
    weight = torch.tensor([[-1.0, -1e-6, 1e-6, 2.0]])
    scales = format.scales(weight)
    snapped = format.snap(weight, scales)
    assert snapped.signbit().tolist() == [[True, True, False, False]]
    packed = pack(snapped, format, scales)
    assert packed is not None
    assert ZERO_SIGNS in packed
    assert unpack(packed, format, scales, snapped.shape).signbit().tolist() == [[True, True, False, False]]


def test_a_weight_off_its_grid_is_not_packed() -> None:
    format = weight_format(parse_recipe("w8a8-minmax"))
    weight = torch.randn(4, 8)
    assert pack(weight, format, format.scales(weight)) is None
    snapped = format.snap(weight, format.scales(weight))
    snapped[0, 0] = torch.nextafter(snapped[0, 0], torch.tensor(torch.inf))
    assert pack(snapped, format, format.scales(weight)) is None
