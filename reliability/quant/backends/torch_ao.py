"""Products by torchao's quantized tensors."""

from __future__ import annotations

import logging
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.quant.backends.layers import known_quantizer, replace_layers
from reliability.quant.backends.windows import Windows
from reliability.quant.formats.sharing import columns
from reliability.quant.formats.values import Integers
from reliability.quant.layers import QuantConv2d, QuantLayer, scales_of
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData

# Else torchao warns at import of kernels that were compiled for other machines, and of a missing triton.
logging.getLogger("torchao").setLevel(logging.ERROR)

_HALF = 128
_INT8 = 8


class TorchaoLayer(nn.Module):
    """A layer whose weight is one of torchao's tensors, made of the simulation's codes and scales.

    Args:
        name: For error messages.
        source: The simulated layer.

    Attributes:
        codes: [out, K] int8, around 0, as ``formats.sharing.columns`` orders the weight.
        weight_scale, weight_zero_point: [out, scales per channel] float32 and int8.
        input_scale, input_zero_point: 0-d, of static ranges only; the zero point is int8.

    Conventions:
        Weights are the simulation's in every code. Activations are torchao's own: with
        static ranges, our scale and zero point, the quotient taken by a multiplication with
        the reciprocal, so that a value within float rounding of a tie may go to the other
        code; per token, the scale amax / 127.5 and codes -128..127, where the simulation has
        amax / 127 and -127..127, so that codes differ by up to one. A window of a convolution
        counts as a token there, an image in the simulation. Weight-only layers dequantize.
    """

    int8_original_dtype = torch.float32

    codes: Tensor
    weight_scale: Tensor
    weight_zero_point: Tensor

    def __init__(self, name: str, source: QuantLayer) -> None:
        super().__init__()
        self.windows = Windows.of(name, source) if isinstance(source, QuantConv2d) else None
        self.weight_only = isinstance(source.activation, nn.Identity)
        quantizer = None if self.weight_only else known_quantizer(name, source)
        self.values, self.sharing = cast(Integers, source.format.values), source.format.sharing
        codes, scale, zero = _weight(source)
        self.register_buffer("codes", codes)
        self.register_buffer("weight_scale", scale)
        self.register_buffer("weight_zero_point", zero)
        self.bias = source.bias
        self.static = isinstance(quantizer, StaticQuantizer)
        if isinstance(quantizer, StaticQuantizer):
            self.register_buffer("input_scale", quantizer.scale.clone())
            self.register_buffer("input_zero_point", (quantizer.zero_point.nan_to_num() - _HALF).to(torch.int8))
        self._weight: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """torchao's tensor, made of what the buffers hold when it is first needed."""
        if self._weight is None or self._weight.device != self.codes.device:
            self._weight = self._int8() if self._is_int8 else self._intx()
        return self._weight

    def forward(self, x: Tensor) -> Tensor:
        """As the simulated layer."""
        rows = x if self.windows is None else self.windows.rows(x)
        if self.codes.shape[1] > rows.shape[-1]:
            rows = F.pad(rows, (0, self.codes.shape[1] - rows.shape[-1]))
        # torchao's static scale has as many axes as what it divides.
        out = F.linear(rows.reshape(-1, rows.shape[-1]), self.weight, self.bias)
        out = out.view(*rows.shape[:-1], out.shape[-1])
        return out if self.windows is None else self.windows.images(out, x)

    def _load_from_state_dict(self, *args: Any) -> None:
        self._weight = None
        super()._load_from_state_dict(*args)

    @property
    def _is_int8(self) -> bool:
        """Whether the weight is one of 8 bits around 0 with a scale per channel, which has kernels of its own."""
        plain = self.values.symmetric and not isinstance(self.sharing.unit, int)
        return plain and (not self.weight_only or self.values.bits == _INT8)

    def _int8(self) -> Tensor:
        from torchao.quantization import Int8Tensor, PerRow, PerTensor
        from torchao.quantization.quant_primitives import MappingType
        from torchao.quantization.quantize_.workflows import QuantizeTensorToInt8Kwargs

        settings: dict[str, Any] = {}
        if not self.weight_only:
            mapping = MappingType.ASYMMETRIC if self.static else MappingType.SYMMETRIC
            settings["act_quant_kwargs"] = QuantizeTensorToInt8Kwargs(PerTensor() if self.static else PerRow(), mapping)
        if self.static:
            settings["act_quant_scale"] = self.get_buffer("input_scale").reshape(1, 1)
            settings["act_quant_zero_point"] = self.get_buffer("input_zero_point").reshape(1, 1)
        block = [1, self.codes.shape[1]]
        made: Tensor = Int8Tensor(self.codes, self.weight_scale, block, torch.float32, **settings)
        return made

    def _intx(self) -> Tensor:
        from torchao.quantization import IntxUnpackedToInt8Tensor

        target = getattr(torch, f"int{self.values.bits}")
        block = (1, self.codes.shape[1] // self.weight_scale.shape[1])
        made: Tensor = IntxUnpackedToInt8Tensor(
            self.codes, self.weight_scale, self.weight_zero_point, target, block, torch.float32, None
        )
        return made


def convert(simulated: nn.Module, recipe: Recipe, data: RangeData) -> nn.Module:
    """Give a simulated candidate's layers torchao's weights, in place."""
    del data
    return structure(simulated, recipe)


def structure(simulated: nn.Module, recipe: Recipe) -> nn.Module:
    """The same from a skeleton; what its buffers hold is to be loaded."""
    return replace_layers(simulated, recipe.towers, TorchaoLayer)


def _weight(source: QuantLayer) -> tuple[Tensor, Tensor, Tensor]:
    """Codes [out, K] int8, and scales and zero points [out, parts]; the last group is filled up with zeros."""
    values, sharing, scales = cast(Integers, source.format.values), source.format.sharing, scales_of(source)
    weight = source.weight.detach()
    grouped = isinstance(sharing.unit, int)
    parts = sharing.split(weight) if grouped else columns(weight)[:, None]
    step, zero = (_per_part(scale, parts) for scale in (scales.step, scales.zero_point))
    # Codes of a grid with a zero point begin at 0, and torchao's in the middle.
    zero = zero - (0 if values.symmetric else 1 << (values.bits - 1))
    codes = ((parts / step).round() + zero).to(torch.int8)
    return codes.flatten(1), step[..., 0].contiguous(), zero[..., 0].to(torch.int8).contiguous()


def _per_part(scale: Tensor | None, parts: Tensor) -> Tensor:
    """One for each part [out, parts, 1], 0 where there is none."""
    if scale is None:
        return parts.new_zeros(*parts.shape[:2], 1)
    return scale.reshape(-1, scale.shape[1] if scale.ndim == 3 else 1, 1).expand(*parts.shape[:2], 1)
