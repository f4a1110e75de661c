"""Linear and Conv2d with a weight on its grid and a quantizer before it."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import cast

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.formats.values import Scales
from reliability.quant.formats.weights import WeightFormat, weight_format
from reliability.quant.quantizers import ACTIVATIONS
from reliability.quant.recipe import Recipe
from reliability.quant.towers import gemm_layers, replace_module
from reliability.quant.widths import give_own_width


class QuantLinear(nn.Linear):
    """A Linear whose weight lies on a grid and whose input passes a quantizer.

    Args:
        source: The float layer; its bias is shared and stays in float.
        format: What the weight is snapped to.
        activation: Applied to the input.

    Attributes:
        weight: [out, in] float32, dequantized.
        weight_scale: [out, 1] float32 where a channel has one scale, [out, groups, 1]
            where groups have. The other fields of ``Scales`` are buffers
            ``weight_zero_point`` and ``weight_outer`` in formats that have them.
    """

    weight_scale: Tensor

    def __init__(self, source: nn.Linear, format: WeightFormat, activation: nn.Module) -> None:
        super().__init__(source.in_features, source.out_features, source.bias is not None, device="meta")
        self.format, self.activation = format, activation
        _take_weights(self, source)

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return super().forward(self.activation(input))


class QuantConv2d(nn.Conv2d):
    """A Conv2d whose weight lies on a grid and whose input passes a quantizer.

    Args:
        source: The float layer; its bias is shared and stays in float.
        format: What the weight is snapped to.
        activation: Applied to the input before any padding, so padded zeros are exact.

    Attributes:
        weight: [out, in / groups, kh, kw] float32, dequantized.
        weight_scale: [out, 1, 1, 1] float32, or as in :class:`QuantLinear`.
    """

    weight_scale: Tensor

    def __init__(self, source: nn.Conv2d, format: WeightFormat, activation: nn.Module) -> None:
        super().__init__(
            source.in_channels, source.out_channels,
            source.kernel_size, source.stride, source.padding, source.dilation,  # type: ignore[arg-type]
            source.groups, source.bias is not None, source.padding_mode, device="meta",
        )  # fmt: skip
        self.format, self.activation = format, activation
        _take_weights(self, source)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, out, H', W']."""
        return super().forward(self.activation(input))


QuantLayer = QuantLinear | QuantConv2d
_BUFFERS = {"scale": "weight_scale", "zero_point": "weight_zero_point", "outer": "weight_outer"}


def scales_of(layer: QuantLayer) -> Scales:
    """The scales of a layer's weight."""
    return Scales(*(cast(Tensor, getattr(layer, name, None)) for name in _BUFFERS.values()))


@torch.no_grad()
def put_weight(layer: QuantLayer, weight: Tensor, scales: Scales) -> None:
    """Give a layer another weight, snapped to the nearest values of its format, in place.

    Args:
        layer: Its format's values and sharing stay as they are.
        weight: Of the layer's shape. What lies on the grid of the scales is not changed.
        scales: Of the new weight, shaped as the layer's own.
    """
    for field, name in _BUFFERS.items():
        if hasattr(layer, name):
            getattr(layer, name).copy_(getattr(scales, field))
    layer.weight.copy_(layer.format.snap(weight, scales))


def insert_quantizers(clip: nn.Module, recipe: Recipe) -> dict[str, QuantLayer]:
    """Replace every Linear and Conv2d of a recipe's towers, in place, but those it leaves in float by declaration.

    Weights are rounded to nearest; static quantizers have no range yet.

    Returns:
        Name to new layer.

    Raises:
        QuantizationError: A layer is of a subclass, whose own forward pass would be lost,
            or a declaration matches no layer, or declarations match every one.
    """
    found = gemm_layers(clip, recipe.towers)
    _require_matches(recipe, found)
    layers = {name: _quantized(name, layer, recipe) for name, layer in found.items() if not recipe.leaves_float(name)}
    for name, layer in layers.items():
        replace_module(clip, name, layer)
        if recipe.own_widths:
            give_own_width(layer)
    return layers


def _require_matches(recipe: Recipe, names: Collection[str]) -> None:
    idle = [pattern for pattern in recipe.float_layers.split() if not any(fnmatchcase(n, pattern) for n in names)]
    if recipe.float_layers and all(recipe.leaves_float(name) for name in names):
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="float_layers names every layer, so nothing would be quantized",
            got=recipe.float_layers,
            next="leave out a pattern, or evaluate fp32",
        )
    if idle:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="float_layers names layers that the recipe's towers do not have",
            got=", ".join(idle),
            next=f"name layers such as {', '.join(list(names)[:3])}; * stands for anything",
        )


def _quantized(name: str, layer: nn.Linear | nn.Conv2d, recipe: Recipe) -> QuantLayer:
    activation = ACTIVATIONS[recipe.activation](recipe, layer).to(layer.weight.device)
    if type(layer) is nn.Linear:
        return QuantLinear(layer, weight_format(recipe), activation)
    if type(layer) is nn.Conv2d:
        return QuantConv2d(layer, weight_format(recipe), activation)
    raise QuantizationError(
        where=f"layer {name}",
        what="only plain nn.Linear and nn.Conv2d layers can be quantized",
        got=type(layer).__qualname__,
        next="quantize the other tower, or use a model without this layer type",
    )


def _take_weights(layer: QuantLayer, source: nn.Linear | nn.Conv2d) -> None:
    weight = source.weight.detach()
    scales = layer.format.scales(weight)
    for field, name in _BUFFERS.items():
        value = getattr(scales, field)
        if value is not None:
            layer.register_buffer(name, value)
    layer.weight = nn.Parameter(layer.format.snap(weight, scales), requires_grad=False)
    layer.bias = source.bias
