"""Layers that become QuantizeLinear and DequantizeLinear nodes with exactly a candidate's scales and zero points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.affine import quantize
from reliability.quant.formats.values import Integers
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, scales_of
from reliability.quant.quantizers import StaticQuantizer

_ACTIVATION_BITS = 8


class Quantized(nn.Module):
    """An activation quantizer as a pair of nodes.

    Args:
        source: Per tensor, 8 bits, with a zero point.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, source: StaticQuantizer) -> None:
        super().__init__()
        self.register_buffer("scale", source.scale.detach().float().clone())
        self.register_buffer("zero_point", source.zero_point.detach().to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; ONNX rounds half to even and saturates at 0 and 255, as the simulation does."""
        codes = _node("QuantizeLinear", [x, self.scale, self.zero_point], torch.uint8, x.shape)
        return _node("DequantizeLinear", [codes, self.scale, self.zero_point], torch.float32, x.shape)


class QdqLinear(nn.Module):
    """A Linear whose weight is stored as codes [in, out], and dequantized per output channel.

    Codes are transposed beforehand, because runtimes look for a weight that goes from
    DequantizeLinear straight into MatMul.
    """

    bias: Tensor | None

    def __init__(self, name: str, source: QuantLinear) -> None:
        super().__init__()
        self.activation = _activation(name, source.activation)
        codes, scale, zero_point = _codes(name, source)
        self.stored = Dequantized(codes.T.contiguous(), scale, zero_point, axis=1)
        self.register_buffer("bias", None if source.bias is None else source.bias.detach())

    @property
    def weight(self) -> Tensor:
        """[in, out] float32; towers ask for its type."""
        return cast(Tensor, self.stored())

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        product: Tensor = self.activation(input) @ self.weight
        return product if self.bias is None else product + self.bias


class QdqConv2d(nn.Module):
    """A Conv2d whose weight is stored as codes, and dequantized per output channel."""

    bias: Tensor | None

    def __init__(self, name: str, source: QuantConv2d) -> None:
        super().__init__()
        if source.padding_mode != "zeros":
            raise unsupported(f"layer {name}", "only zero padding is exported", source.padding_mode)
        self.activation = _activation(name, source.activation)
        self.stored = Dequantized(*_codes(name, source), axis=0)
        self.register_buffer("bias", None if source.bias is None else source.bias.detach())
        self.settings: tuple[Any, ...] = (source.stride, source.padding, source.dilation, source.groups)

    @property
    def weight(self) -> Tensor:
        """[out, in / groups, kh, kw] float32; towers ask for its type."""
        return cast(Tensor, self.stored())

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, out, H', W']."""
        return F.conv2d(self.activation(input), self.weight, self.bias, *self.settings)


class Dequantized(nn.Module):
    """A constant of codes behind a DequantizeLinear node.

    Args:
        codes: int8, or uint8 where there is a zero point.
        scale, zero_point: [channels].
        axis: Of the channels.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, codes: Tensor, scale: Tensor, zero_point: Tensor, axis: int) -> None:
        super().__init__()
        self.axis = axis
        for name, value in (("codes", codes), ("scale", scale), ("zero_point", zero_point)):
            self.register_buffer(name, value)

    def forward(self) -> Tensor:
        """The weight in float32."""
        inputs = [self.codes, self.scale, self.zero_point]
        return _node("DequantizeLinear", inputs, torch.float32, self.codes.shape, axis=self.axis)


def to_qdq(name: str, layer: QuantLayer) -> nn.Module:
    """The layer that is exported in the place of a simulated one.

    Raises:
        QuantizationError: ONNX's quantizing nodes cannot say what the layer does.
    """
    return QdqLinear(name, layer) if isinstance(layer, QuantLinear) else QdqConv2d(name, layer)


def unsupported(where: str, what: str, got: object) -> QuantizationError:
    """The error of something that has no exact counterpart in ONNX."""
    return QuantizationError(
        where=where, what=what, got=got,
        next="export w2..w8 with a8 or a16, a scale per channel or tensor, and static ranges, such as w8a8-minmax",
    )  # fmt: skip


def _activation(name: str, quantizer: nn.Module) -> nn.Module:
    if isinstance(quantizer, nn.Identity):
        return quantizer
    if not isinstance(quantizer, StaticQuantizer) or quantizer.grid.bits != _ACTIVATION_BITS:
        raise unsupported(f"layer {name}", "only static 8-bit integer activations are exported", quantizer)
    return Quantized(quantizer)


def _codes(name: str, layer: QuantLayer) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of a weight in its own shape, and a scale and zero point for each output channel."""
    values, scales = layer.format.values, scales_of(layer)
    if not isinstance(values, Integers) or isinstance(layer.format.sharing.unit, int):
        raise unsupported(
            f"layer {name}", "only integers with a scale per channel or tensor are exported", layer.format
        )
    codes = quantize(layer.weight.detach(), scales.scale, scales.zero_point, values.grid)
    stored = torch.int8 if values.symmetric else torch.uint8
    channels = len(codes)
    scale = scales.scale.detach().flatten().expand(channels).contiguous()
    zero_point = torch.zeros(1) if scales.zero_point is None else scales.zero_point.detach().flatten()
    return codes.to(stored), scale, zero_point.to(stored).expand(channels).contiguous()


def _node(operator: str, inputs: list[Tensor], dtype: torch.dtype, shape: Any, **attributes: int) -> Tensor:
    """One ONNX operator, which torch's exporter puts into the graph as it is."""
    symbolic = cast(Callable[..., Tensor], torch.onnx.ops.symbolic)
    return symbolic(operator, inputs, attributes, dtype=dtype, shape=shape)
