"""Activation quantizers: modules that a quantized layer applies to its input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reliability.quant.affine import Grid, asymmetric_parameters, fake_quantize, symmetric_scale
from reliability.quant.recipe import Activation, Recipe


class StaticQuantizer(nn.Module):
    """Per-tensor asymmetric quantization over a range set beforehand.

    Args:
        bits: Width of a code.

    Conventions:
        Before :meth:`set_range` the scale is NaN, and so is every output: a
        quantizer that was forgotten cannot pass for one that works.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.grid = Grid(bits, symmetric=False)
        self.register_buffer("scale", torch.tensor(torch.nan))
        self.register_buffer("zero_point", torch.tensor(torch.nan))

    @property
    def has_range(self) -> bool:
        """Whether a finite range was set or loaded."""
        return bool(torch.isfinite(self.scale) & torch.isfinite(self.zero_point))

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Cover [low, high], widened to include 0."""
        scale, zero_point = asymmetric_parameters(low, high, self.grid)
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return fake_quantize(x, self.scale, self.zero_point, self.grid)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"bits={self.grid.bits}"


class DynamicQuantizer(nn.Module):
    """Symmetric quantization whose scale comes from each token itself.

    Args:
        bits: Width of a code.
        dims: Axes that share a scale: the last one for tokens [..., D]; all but
            the first for images [N, C, H, W], because a convolution's windows
            overlap tokens and its integer form needs one scale for all of them.

    Conventions:
        No scale spans two images, so a code never depends on batch mates.
    """

    has_range = True

    def __init__(self, bits: int, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.grid = Grid(bits, symmetric=True)
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize."""
        amax = x.detach().abs().amax(dim=self.dims, keepdim=True)
        return fake_quantize(x, symmetric_scale(amax, self.grid), None, self.grid)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"bits={self.grid.bits}, dims={self.dims}"


def _static(recipe: Recipe, layer: nn.Module) -> nn.Module:
    del layer
    return StaticQuantizer(recipe.activation_bits)


def _dynamic(recipe: Recipe, layer: nn.Module) -> nn.Module:
    return DynamicQuantizer(recipe.activation_bits, (1, 2, 3) if isinstance(layer, nn.Conv2d) else (-1,))


def _none(recipe: Recipe, layer: nn.Module) -> nn.Module:
    del recipe, layer
    return nn.Identity()


ACTIVATIONS: dict[Activation, Callable[[Recipe, nn.Module], nn.Module]] = {
    "static": _static,
    "dynamic": _dynamic,
    "none": _none,
}
"""Kind of activation quantization to the module it puts before a layer; a new kind is one line here."""
