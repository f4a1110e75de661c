"""E4M3 products by ``torch._scaled_mm``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.backends.layers import KernelLayer, replace_layers
from reliability.quant.formats.values import E4M3
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData

_CODE = torch.float8_e4m3fn
_FIRST_WITH_FP8 = (8, 9)
"""Compute capability from which on a GPU multiplies E4M3 by E4M3."""


class Fp8Layer(KernelLayer):
    """A layer whose products are of E4M3 codes, summed in float32.

    Args:
        name: For error messages.
        source: The simulated layer.

    Conventions:
        Codes are those of the simulation: the same quotient, clamped, then cast, which
        rounds to the nearest value as the simulation does. The kernel is given scales of 1,
        and a token's and a channel's own scale are applied to its float32 sums, since
        kernels with scales per row give bfloat16.
    """

    # The kernel takes widths that are multiples of 16.
    multiple = 16

    def weight_codes(self, steps: Tensor) -> Tensor:
        """The nearest values as bytes, since neither NumPy nor older safetensors know the type."""
        return E4M3.nearest(steps).to(_CODE).view(torch.uint8)

    def weight_steps(self) -> Tensor:
        """The codes as float32."""
        return self.codes.view(_CODE).float()

    def activation_codes(self, steps: Tensor) -> Tensor:
        """Clamped, to be cast where they are multiplied: windows of a convolution are gathered in float32."""
        return steps.clamp_(-E4M3.largest, E4M3.largest)

    def product(self, rows: Tensor) -> Tensor:
        """Sums in float32."""
        codes = F.pad(rows, (0, self.codes.shape[1] - self.inputs)).to(_CODE)
        one = torch.ones((), device=rows.device)
        sums = torch._scaled_mm(
            codes, self.codes.view(_CODE).T, one, one, out_dtype=torch.float32, use_fast_accum=False
        )
        return sums[:, : self.outputs]


def convert(simulated: nn.Module, recipe: Recipe, data: RangeData) -> nn.Module:
    """Run a simulated candidate's layers on fp8 kernels, in place.

    Raises:
        QuantizationError: The GPU has none.
    """
    del data
    parameter = next(simulated.parameters())
    if parameter.is_cuda and torch.cuda.get_device_capability(parameter.device) < _FIRST_WITH_FP8:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what=f"fp8 kernels need compute capability {'.'.join(map(str, _FIRST_WITH_FP8))}",
            got=f"{torch.cuda.get_device_name(parameter.device)}, "
            f"{'.'.join(map(str, torch.cuda.get_device_capability(parameter.device)))}",
            next=f"use a newer GPU, or simulate it: {recipe.simulated.name}",
        )
    return structure(simulated, recipe)


def structure(simulated: nn.Module, recipe: Recipe) -> nn.Module:
    """The same from a skeleton; what its buffers hold is to be loaded."""
    return replace_layers(simulated, recipe.towers, Fp8Layer)
