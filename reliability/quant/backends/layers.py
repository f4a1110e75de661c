"""Quantized layers whose product is one of codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.backends.windows import Windows
from reliability.quant.formats.sharing import columns
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, scales_of
from reliability.quant.quantizers import DynamicQuantizer, StaticFloatQuantizer, StaticQuantizer
from reliability.quant.recipe import Towers
from reliability.quant.towers import gemm_layers, replace_module

ActivationQuantizer = StaticQuantizer | StaticFloatQuantizer | DynamicQuantizer


class KernelLayer(ABC, nn.Module):
    """A Linear or Conv2d as one product of codes, which is scaled afterwards.

    Args:
        name: For error messages.
        source: The simulated layer, whose codes and scales it takes over.

    Attributes:
        codes: [out, K] of the weight as ``formats.sharing.columns`` orders it, filled up with
            zeros to multiples of ``multiple``.
        weight_scale: [out] float32.
        bias: [out] float32, zeros where the layer has none.
    """

    multiple: ClassVar[int] = 1
    # open_clip asks a layer for the type that its inputs should have.
    int8_original_dtype = torch.float32

    codes: Tensor
    weight_scale: Tensor
    bias: Tensor

    def __init__(self, name: str, source: QuantLayer) -> None:
        super().__init__()
        self.windows = Windows.of(name, source) if isinstance(source, QuantConv2d) else None
        self.activation = known_quantizer(name, source)
        weight, step = columns(source.weight.detach()), scales_of(source).step.flatten()
        self.outputs, self.inputs = weight.shape
        scale = step.expand(self.outputs).clone()
        codes = self.weight_codes(weight / scale[:, None])
        bias = torch.zeros_like(scale) if source.bias is None else source.bias.detach().clone()
        self.register_buffer("codes", _filled_up(codes, self.multiple))
        self.register_buffer("weight_scale", scale)
        self.register_buffer("bias", bias)

    @abstractmethod
    def weight_codes(self, steps: Tensor) -> Tensor:
        """The weight in units of its scale, up to float rounding, to the kernel's type."""

    @abstractmethod
    def activation_codes(self, steps: Tensor) -> Tensor:
        """An input in units of its scale to codes, still as float32; the argument may be overwritten."""

    @abstractmethod
    def product(self, rows: Tensor) -> Tensor:
        """Codes [M, K] of activations, as float32, times those of the weight: float32 [M, outputs]."""

    @property
    def weight(self) -> Tensor:
        """What the codes stand for, [outputs, K] float32."""
        return self.weight_steps()[: self.outputs, : self.inputs] * self.weight_scale[:, None]

    def weight_steps(self) -> Tensor:
        """The codes as float32."""
        return self.codes.float()

    @property
    def code_of_zero(self) -> float:
        """What padding puts around codes."""
        return 0.0

    def forward(self, x: Tensor) -> Tensor:
        """As the simulated layer: [..., in] to [..., out], or [N, C, H, W] to [N, out, H', W']."""
        scale = self.activation.parts(x)[1].scale
        codes = self.activation_codes(torch.div(x, scale))
        rows = codes if self.windows is None else self.windows.rows(codes, self.code_of_zero)
        sums = self.product(rows.reshape(-1, rows.shape[-1])).reshape(*rows.shape[:-1], self.outputs)
        if scale.ndim:
            sums *= scale.flatten(1)[:, :, None] if self.windows is not None else scale
            out = torch.addcmul(self.bias, sums, self.weight_scale)
        else:
            out = torch.addcmul(self.bias, sums, self.weight_scale * scale)
        return out if self.windows is None else self.windows.images(out, x)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.inputs}, {self.outputs}"


def known_quantizer(name: str, source: QuantLayer) -> ActivationQuantizer:
    """A layer's activation quantizer.

    Raises:
        QuantizationError: It is none that kernels have a counterpart of.
    """
    quantizer = source.activation
    if isinstance(quantizer, (StaticQuantizer, StaticFloatQuantizer, DynamicQuantizer)):
        return quantizer
    raise QuantizationError(
        where=f"layer {name}",
        what="no kernel quantizes activations as this layer does",
        got=type(quantizer).__name__,
        next="simulate this recipe",
    )


def replace_layers(clip: nn.Module, towers: Towers, make: Callable[[str, QuantLayer], nn.Module]) -> nn.Module:
    """Put real layers in the place of the simulated ones, in place.

    Args:
        clip: Simulated candidate.
        towers: Those that its recipe names.
        make: Name and simulated layer to the real one.

    Returns:
        The same module.
    """
    for name, layer in gemm_layers(clip, towers).items():
        if isinstance(layer, (QuantLinear, QuantConv2d)):
            replace_module(clip, name, make(name, layer))
    return clip


def _filled_up(codes: Tensor, multiple: int) -> Tensor:
    """With zeros at the ends of both axes."""
    rows, columns = (-(-length // multiple) * multiple for length in codes.shape)
    full = torch.zeros(rows, columns, dtype=codes.dtype, device=codes.device)
    full[: codes.shape[0], : codes.shape[1]] = codes
    return full
