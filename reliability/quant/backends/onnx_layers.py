"""What simulated layers become before a tower is written as a graph for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from reliability.quant.backends.layers import known_quantizer
from reliability.quant.backends.windows import Windows
from reliability.quant.formats.sharing import columns
from reliability.quant.formats.values import Scales
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, put_weight, scales_of
from reliability.quant.quantizers import DynamicQuantizer

_HALF = 128


class TokenProduct(nn.Module):
    """A layer whose inputs get a scale per token, or per image before a convolution, as a graph says it.

    Args:
        name: For error messages.
        source: The simulated layer.

    Conventions:
        Codes are the simulation's own: the same quotient by the largest magnitude over
        the largest code, rounded half to even. They go to the kernel plus 128 with that as
        their zero point, because signed ones ran nine times slower. ONNX Runtime's own dynamic quantization has
        one scale for the whole batch, so that a result depends on its batch mates; it is
        not used. The product is its operator MatMulIntegerToFloat.
    """

    int8_original_dtype = torch.float32

    codes: Tensor
    weight_scale: Tensor
    one: Tensor
    middle: Tensor
    bias: Tensor

    def __init__(self, name: str, source: QuantLayer) -> None:
        super().__init__()
        self.windows = Windows.of(name, source) if isinstance(source, QuantConv2d) else None
        self.quantizer = cast(DynamicQuantizer, known_quantizer(name, source))
        weight, step = columns(source.weight.detach()), scales_of(source).step.flatten()
        scale = step.expand(len(weight)).clone()
        self.register_buffer("codes", (weight / scale[:, None]).round().to(torch.int8).T.contiguous())
        self.register_buffer("weight_scale", scale)
        self.register_buffer("one", torch.ones(()))
        self.register_buffer("middle", torch.tensor(_HALF, dtype=torch.uint8))
        bias = torch.zeros_like(scale) if source.bias is None else source.bias.detach()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """As the simulated layer."""
        scale = self.quantizer.parts(x)[1].scale
        codes = (x / scale).round() + _HALF
        if self.windows is not None:
            codes, scale = self.windows.rows(codes, _HALF), scale.flatten(1)[:, :, None]
        out = self._product(codes.to(torch.uint8)) * scale + self.bias
        return out if self.windows is None else self.windows.images(out, x)

    def _product(self, codes: Tensor) -> Tensor:
        symbolic = cast(Callable[..., Tensor], torch.onnx.ops.symbolic)
        inputs = [codes, self.codes, self.one, self.weight_scale, self.middle]
        shape = (*codes.shape[:-1], len(self.weight_scale))
        return symbolic("com.microsoft::MatMulIntegerToFloat", inputs, dtype=torch.float32, shape=shape, version=1)


class WindowedLinear(nn.Module):
    """A convolution with a static range as windows and a Linear.

    ONNX Runtime multiplies integers between QuantizeLinear and DequantizeLinear where a
    MatMul follows, and convolves in float where no quantization follows the convolution.

    Args:
        name: For error messages.
        source: The simulated layer.
    """

    def __init__(self, name: str, source: QuantConv2d) -> None:
        super().__init__()
        self.windows = Windows.of(name, source)
        weight = columns(source.weight.detach())
        plain = nn.Linear(weight.shape[1], len(weight), source.bias is not None, device="meta")
        plain.weight = nn.Parameter(weight, requires_grad=False)
        plain.bias = source.bias  # type: ignore[assignment]
        self.linear = QuantLinear(plain, source.format, source.activation)
        put_weight(self.linear, weight, Scales(scales_of(source).scale.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """As the simulated layer."""
        return self.windows.images(self.linear(self.windows.rows(x)), x)


def to_onnx(name: str, layer: QuantLayer) -> nn.Module:
    """A layer to be exported in the place of a simulated one; static Linears are exported as they are."""
    if isinstance(known_quantizer(name, layer), DynamicQuantizer):
        return TokenProduct(name, layer)
    return WindowedLinear(name, layer) if isinstance(layer, QuantConv2d) else layer
