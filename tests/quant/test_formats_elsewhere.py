"""The same formats in torchao, where it is installed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reliability.quant.formats.weights import weight_format
from reliability.quant.recipe import parse_recipe

mx_tensor = pytest.importorskip("torchao.prototype.mx_formats.mx_tensor")
nvfp4_tensor = pytest.importorskip("torchao.prototype.mx_formats.nvfp4_tensor")

ELEMENTS = {"mxfp8": torch.float8_e4m3fn, "mxfp6": "fp6_e2m3", "mxfp4": getattr(torch, "float4_e2m1fn_x2", None)}


def sample(seed: int) -> Tensor:
    x = torch.randn(64, 128, generator=torch.Generator().manual_seed(seed))
    return x * torch.logspace(-4, 3, 64)[:, None]


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize(("suffix", "mode"), [("", "FLOOR"), ("_ceil", "RCEIL")])
def test_microscaling_scales_and_values_are_torchaos(name: str, suffix: str, mode: str) -> None:
    form, x = weight_format(parse_recipe(f"{name}{suffix}-rtn")), sample(0)
    scales = form.scales(x)
    stored, codes = mx_tensor.to_mx(x, ELEMENTS[name], 32, mx_tensor.ScaleCalculationMode[mode])
    values = mx_tensor.to_dtype(codes, stored, ELEMENTS[name], 32, torch.float32)
    assert torch.equal(stored.float().view(64, 4), scales.scale[..., 0])
    assert torch.equal(values.view(64, 128), form.snap(x, scales))


@pytest.mark.parametrize("seed", range(10))
def test_nvfp4_scales_are_torchaos_and_values_nearly_all(seed: int) -> None:
    form, x = weight_format(parse_recipe("nvfp4-rtn")), sample(seed)[-24:]
    scales = form.scales(x)
    outer = nvfp4_tensor.per_tensor_amax_to_scale(x.abs().max())
    stored, codes = nvfp4_tensor.nvfp4_quantize(x, 16, outer)
    assert scales.outer is not None
    assert torch.equal(scales.outer.flatten(), outer.view(1))
    blocks = x.view(len(x), 8, 16)
    # torchao keeps away from the subnormal scales of blocks that are far smaller than the largest one.
    filled = blocks.abs().amax(-1) > 6 * outer * 2.0**-6
    assert filled.float().mean() > 0.5
    assert torch.equal(stored.float().view(len(x), 8)[filled], scales.scale[..., 0][filled])
    packed = codes.view(torch.uint8).view(len(x), 8, 8)
    magnitudes = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    nibbles = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2).long()
    values = magnitudes[nibbles & 7] * (1 - 2 * (nibbles >> 3)) * scales.step
    # It multiplies by a reciprocal, which sends a few midpoints the other way.
    same = values == form.snap(x, scales).view_as(blocks)
    assert same[filled].float().mean() > 0.9999
