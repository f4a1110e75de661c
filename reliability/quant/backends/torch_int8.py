"""8-bit integer products by ``torch._int_mm``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.backends.layers import KernelLayer, replace_layers
from reliability.quant.layers import QuantLayer
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData

_HALF = 128
"""Unsigned codes less this are signed ones."""
_FEWEST_ROWS = 17
"""What a GPU's kernel takes at least."""


class Int8Layer(KernelLayer):
    """A layer whose sums are exact integers.

    Args:
        name: For error messages.
        source: The simulated layer.

    Conventions:
        Codes are those of the simulation, bit for bit where inputs are: the same quotient,
        rounded the same way. Static codes 0..255 are stored less 128, and what that and the
        zero point add to every sum is taken off as a whole number. Sums are exact, where
        float32 ones are rounded, and scaled once; so a real and a simulated layer differ by
        float rounding, and a later layer by whole codes where that moves a value across a tie.

    Attributes:
        offset: [out] int32, added to sums of static codes.
    """

    # A GPU's kernel takes widths that are multiples of 8; 16 suits its vector loads.
    multiple = 8

    def __init__(self, name: str, source: QuantLayer) -> None:
        super().__init__(name, source)
        if isinstance(self.activation, StaticQuantizer):
            sums = self.codes[: self.outputs].sum(dim=1, dtype=torch.int32)
            self.register_buffer("offset", (_HALF - _whole_zero_point(name, self.activation)) * sums)

    def weight_codes(self, steps: Tensor) -> Tensor:
        """Whole numbers, int8."""
        return steps.round().to(torch.int8)

    def activation_codes(self, steps: Tensor) -> Tensor:
        """Whole numbers of the simulation's grid, in -128..127."""
        quantizer: Any = self.activation
        if not isinstance(quantizer, StaticQuantizer):
            largest = quantizer.values.largest
            return steps.round_().clamp_(-largest, largest)
        zero, grid = quantizer.zero_point.item(), quantizer.grid
        return steps.round_().clamp_(grid.qmin - zero, grid.qmax - zero).add_(zero - _HALF)

    @property
    def code_of_zero(self) -> float:
        """The zero point, less what unsigned codes are shifted by."""
        return self.activation.zero_point.item() - _HALF if isinstance(self.activation, StaticQuantizer) else 0.0

    def product(self, rows: Tensor) -> Tensor:
        """Exact sums, rounded to float32."""
        missing = self.codes.shape[1] - self.inputs
        short = max(0, _FEWEST_ROWS - len(rows))
        codes = rows.to(torch.int8)
        if missing or short:
            codes = F.pad(codes, (0, missing, 0, short))
        sums = torch._int_mm(codes, self.codes.T)[: len(rows), : self.outputs]
        if isinstance(self.activation, StaticQuantizer):
            sums += self.get_buffer("offset")
        return sums.float()


def convert(simulated: nn.Module, recipe: Recipe, data: RangeData) -> nn.Module:
    """Run a simulated candidate's layers on integers, in place."""
    del data
    return structure(simulated, recipe)


def structure(simulated: nn.Module, recipe: Recipe) -> nn.Module:
    """The same from a skeleton; what its buffers hold is to be loaded."""
    return replace_layers(simulated, recipe.towers, Int8Layer)


def _whole_zero_point(name: str, quantizer: StaticQuantizer) -> int:
    """The zero point; anything in a skeleton, which has none yet."""
    zero = float(quantizer.zero_point)
    if not quantizer.has_range:
        return 0
    if zero != round(zero):
        raise QuantizationError(
            where=f"layer {name}", what="integer kernels need a whole zero point", got=zero, next="simulate this recipe"
        )
    return round(zero)
