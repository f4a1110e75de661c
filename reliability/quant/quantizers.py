"""Activation quantizers: modules that a quantized layer applies to its input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from reliability.quant.affine import Grid, asymmetric_parameters, fake_quantize, scale_to
from reliability.quant.formats.scaling import Scaling
from reliability.quant.formats.sharing import from_blocks, to_blocks
from reliability.quant.formats.values import Integers, Minifloat, Scales, Values
from reliability.quant.formats.weights import weight_format
from reliability.quant.number_format import INTEGERS, Activation
from reliability.quant.recipe import Recipe


class RangeQuantizer(ABC, nn.Module):
    """A per-tensor quantizer whose range is set beforehand.

    Conventions:
        Before :meth:`set_range` the scale is NaN, and so is every output: a
        quantizer that was forgotten cannot pass for one that works.
    """

    scale: Tensor

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.values = values
        self.register_buffer("scale", torch.tensor(torch.nan))

    @property
    def has_range(self) -> bool:
        """Whether a finite range was set or loaded."""
        return all(bool(torch.isfinite(buffer)) for buffer in self.buffers())

    @abstractmethod
    def fit(self, low: Tensor, high: Tensor) -> Scales:
        """Scales that cover [low, high], widened to include 0."""

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Cover [low, high], widened to include 0."""
        scales = self.fit(low, high)
        for name, buffer in self.named_buffers():
            buffer.copy_(getattr(scales, name))

    @abstractmethod
    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """What is snapped, and with which scales."""

    def preview(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """What the quantizer would make of ``x`` with this range, which is not kept."""
        return self.values.snap(x, self.fit(low, high))

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.values}"


class StaticQuantizer(RangeQuantizer):
    """Per-tensor asymmetric quantization to integers over a range set beforehand.

    Args:
        bits: Width of a code.
    """

    zero_point: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__(Integers(bits, symmetric=False))
        self.grid = Grid(bits, symmetric=False)
        self.register_buffer("zero_point", torch.tensor(torch.nan))

    def fit(self, low: Tensor, high: Tensor) -> Scales:
        """The smallest code becomes the low end, the largest one the high end."""
        return Scales(*asymmetric_parameters(low, high, self.grid))

    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """The whole, with one scale."""
        return x, Scales(self.scale, self.zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return fake_quantize(x, self.scale, self.zero_point, self.grid)


class StaticFloatQuantizer(RangeQuantizer):
    """Per-tensor quantization to minifloats over a range set beforehand.

    Args:
        values: The minifloats.
    """

    def fit(self, low: Tensor, high: Tensor) -> Scales:
        """The largest value becomes the end that is farther from 0, on both sides."""
        return Scales(scale_to(torch.maximum(low.abs(), high.abs()), self.values.largest))

    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """The whole, with one scale."""
        return x, Scales(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return self.values.snap(*self.parts(x))


class DynamicQuantizer(nn.Module):
    """Symmetric quantization whose scale comes from each token itself.

    Args:
        values: What a token's values are rounded to.
        dims: Axes that share a scale: the last one for tokens [..., D]; all but
            the first for images [N, C, H, W], because a convolution's windows
            overlap tokens and its integer form needs one scale for all of them.

    Conventions:
        No scale spans two images, so a code never depends on batch mates.
    """

    has_range = True

    def __init__(self, values: Values, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.values, self.dims = values, dims

    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """The whole, with a scale for each token."""
        amax = x.detach().abs().amax(dim=self.dims, keepdim=True)
        return x, Scales(scale_to(amax, self.values.largest))

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize."""
        return self.values.snap(*self.parts(x))

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.values}, dims={self.dims}"


class BlockQuantizer(nn.Module):
    """Quantization whose scales come from blocks of channels.

    Args:
        values: What a block's values are rounded to.
        scaling: Takes a block to its scale.
        size: Values in a block; the last block of a token is shorter where the
            channels are no multiple of it.
        image: Whether inputs are images [N, C, H, W], not tokens [..., D].

    Conventions:
        A block is channels of one token, or of one pixel: a pixel that several
        windows of a convolution share has one code in all of them, and blocks lie
        along the axis that the products are summed over. A scale of scales, in
        formats that have one, is a token's or an image's own where kernels take one
        set beforehand, so a code never depends on batch mates.
    """

    has_range = True

    def __init__(self, values: Values, scaling: Scaling, size: int, image: bool) -> None:
        super().__init__()
        self.values, self.scaling, self.size, self.image = values, scaling, size, image

    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """Blocks, with a scale each."""
        blocks = to_blocks(x.movedim(1 if self.image else -1, -1), self.size)
        outer_dims = (1, 2, 3, 4) if self.image else (-2, -1)
        return blocks, self.scaling.fit(blocks.detach(), (-1,), outer_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize."""
        channels = 1 if self.image else -1
        return from_blocks(self.values.snap(*self.parts(x)), x.shape[channels]).movedim(-1, channels)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.values}, {self.scaling}, size={self.size}, image={self.image}"


def _static(recipe: Recipe, layer: nn.Module) -> nn.Module:
    del layer
    values = _values(recipe)
    return StaticFloatQuantizer(values) if isinstance(values, Minifloat) else StaticQuantizer(recipe.activation_bits)


def _dynamic(recipe: Recipe, layer: nn.Module) -> nn.Module:
    return DynamicQuantizer(_values(recipe), (1, 2, 3) if isinstance(layer, nn.Conv2d) else (-1,))


def _block(recipe: Recipe, layer: nn.Module) -> nn.Module:
    form = weight_format(recipe)
    assert isinstance(form.sharing.unit, int)
    return BlockQuantizer(form.values, form.scaling, form.sharing.unit, isinstance(layer, nn.Conv2d))


def _none(recipe: Recipe, layer: nn.Module) -> nn.Module:
    del recipe, layer
    return nn.Identity()


def _values(recipe: Recipe) -> Values:
    """What activations are rounded to symmetrically: integers of their own width, or as weights are."""
    integers = recipe.number_format.family == INTEGERS
    return Integers(recipe.activation_bits) if integers else weight_format(recipe).values


ACTIVATIONS: dict[Activation, Callable[[Recipe, nn.Module], nn.Module]] = {
    "static": _static,
    "dynamic": _dynamic,
    "block": _block,
    "none": _none,
}
"""Kind of activation quantization to the module it puts before a layer; a new kind is one line here."""
