"""Weight formats: which values a quantized weight may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from reliability.quant.affine import Grid, channel_amax, fake_quantize, symmetric_scale
from reliability.quant.recipe import Recipe


class WeightFormat(Protocol):
    """What layers, training and the coverage proof need of a format."""

    def scale(self, weight: Tensor) -> Tensor:
        """Scale of a float weight, broadcastable to it."""
        ...

    def snap(self, weight: Tensor, scale: Tensor) -> Tensor:
        """The nearest values of the format, with a straight-through gradient."""
        ...

    def steps_off(self, weight: Tensor, scale: Tensor) -> float:
        """Largest distance of a weight from the format's values, in units of its scale."""
        ...


@dataclass(frozen=True)
class PerChannelInteger:
    """Symmetric integers with one scale per output channel.

    Attributes:
        bits: Width of a code.
    """

    bits: int

    @property
    def grid(self) -> Grid:
        """The codes."""
        return Grid(self.bits, symmetric=True)

    def scale(self, weight: Tensor) -> Tensor:
        """Largest magnitude of each output channel over the largest code, [C, 1, ...]."""
        return symmetric_scale(channel_amax(weight.detach()), self.grid)

    def snap(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Round to the nearest code, ties to even."""
        return fake_quantize(weight, scale, None, self.grid)

    def steps_off(self, weight: Tensor, scale: Tensor) -> float:
        """0 up to float rounding for a weight that was snapped with this scale."""
        codes = weight.detach() / scale
        return float((codes - codes.round().clamp(self.grid.qmin, self.grid.qmax)).abs().max())


def weight_format(recipe: Recipe) -> WeightFormat:
    """The format of a recipe's weights; a new format is chosen here."""
    return PerChannelInteger(recipe.weight_bits)
