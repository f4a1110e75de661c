"""Proof of what a quantized model really computes in low precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reliability.errors import QuantizationError
from reliability.quant.layers import QuantConv2d, QuantLinear, scales_of
from reliability.quant.recipe import EACH_TOWER, Towers, includes
from reliability.quant.towers import encode, gemm_layers

_ON_GRID = 1e-3
"""Distance from a format's value, in steps, that float rounding cannot explain."""


@dataclass(frozen=True)
class Coverage:
    """Multiply-accumulates of one forward pass through the examined towers.

    Attributes:
        quantized_macs: In quantized Linear and Conv2d layers.
        float_macs: In Linear and Conv2d layers left in float.
        hidden_macs: In other products with weights, such as a bare projection matrix.
        attention_macs: In attention's own two products of activations; they always
            stay in float and are no part of :attr:`share`.
        float_layers: Names of the layers behind ``float_macs``.
        without_range: Quantized layers whose activation quantizer never got a range.
        off_grid: Quantized layers with a weight that is none of its format's values.
    """

    quantized_macs: int
    float_macs: int
    hidden_macs: int
    attention_macs: int
    float_layers: tuple[str, ...]
    without_range: tuple[str, ...]
    off_grid: tuple[str, ...]

    @property
    def share(self) -> float:
        """Quantized share of all products with weights, in [0, 1]; 0 where there are none."""
        total = self.quantized_macs + self.float_macs + self.hidden_macs
        return self.quantized_macs / total if total else 0.0

    @property
    def complete(self) -> bool:
        """Whether every product with weights is quantized, in range and on its grid."""
        return self.share == 1.0 and not (self.without_range or self.off_grid)

    def require_complete(self, where: str) -> None:
        """Raise a QuantizationError that says what is missing."""
        if self.complete:
            return
        faults = {
            f"{self.hidden_macs:,} multiply-accumulates outside Linear and Conv2d layers": self.hidden_macs,
            f"left in float: {', '.join(self.float_layers)}": self.float_layers,
            f"without a range: {', '.join(self.without_range)}": self.without_range,
            f"off their grid: {', '.join(self.off_grid)}": self.off_grid,
        }
        raise QuantizationError(
            where=where,
            what=f"only {self.share:.1%} of the tower's products with weights ran as the recipe says",
            got="; ".join(text for text, present in faults.items() if present) or "no product at all",
            next="quantize a tower made of Linear, Conv2d and nn.MultiheadAttention, or report this one's type",
        )

    def require_float(self, where: str) -> None:
        """Raise a QuantizationError unless nothing is quantized, as in a control that only trained like a candidate."""
        if self.quantized_macs:
            raise QuantizationError(
                where=where,
                what="a control that must end in float has quantized layers",
                got=f"{self.share:.1%} of its products with weights",
                next="report this: the recipe's method left its grid in place",
            )


def coverage(clip: nn.Module, images: Tensor, tokens: Tensor, towers: Towers | None = None) -> Coverage:
    """Count the multiply-accumulates of a forward pass by how they were computed.

    Args:
        clip: Quantized model.
        images: [N, 3, H, W]; one is enough.
        tokens: [N, L].
        towers: Which to examine; None examines those that hold a quantized
            layer, or both if none does.

    Conventions:
        A weight-only layer counts as quantized. Text positions after the end of
        text count, because they are computed.
    """
    towers = towers or _quantized_towers(clip)
    layers = gemm_layers(clip, towers)
    macs, everything = _count(clip, layers, images, tokens, towers)
    attention = sum(count for operator, count in everything.items() if _is_attention(operator))
    quantized = {name: layer for name, layer in layers.items() if isinstance(layer, (QuantLinear, QuantConv2d))}
    left = {name: count for name, count in macs.items() if name not in quantized and count}
    return Coverage(
        quantized_macs=sum(macs[name] for name in quantized),
        float_macs=sum(left.values()),
        hidden_macs=sum(everything.values()) - attention - sum(macs.values()),
        attention_macs=attention,
        float_layers=tuple(left),
        without_range=tuple(n for n, layer in quantized.items() if not getattr(layer.activation, "has_range", True)),
        off_grid=tuple(n for n, layer in quantized.items() if not _on_grid(layer)),
    )


def _quantized_towers(clip: nn.Module) -> Towers:
    vision, text = (
        any(isinstance(layer, (QuantLinear, QuantConv2d)) for layer in gemm_layers(clip, tower).values())
        for tower in EACH_TOWER
    )
    return "both" if vision == text else "vision" if vision else "text"


def _on_grid(layer: QuantLinear | QuantConv2d) -> bool:
    return layer.format.steps_off(layer.weight, scales_of(layer)) <= _ON_GRID


def _count(
    clip: nn.Module, layers: Mapping[str, nn.Module], images: Tensor, tokens: Tensor, towers: Towers
) -> tuple[dict[str, int], dict[str, int]]:
    """Multiply-accumulates per layer by its shapes, and per operator by the dispatcher."""
    macs = dict.fromkeys(layers, 0)
    counter = FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)
    with torch.no_grad(), _fused_attention_off(), ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(layer.register_forward_hook(_mac_hook(macs, name)).remove)
        stack.enter_context(counter)
        if includes(towers, "vision"):
            encode(clip, "vision", images)
        if includes(towers, "text"):
            encode(clip, "text", tokens)
    flops = counter.get_flop_counts().get("Global", {})
    return macs, {str(operator): count // 2 for operator, count in flops.items()}


def _mac_hook(macs: dict[str, int], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        del inputs
        macs[name] += output.numel() * prod(module.get_parameter("weight").shape[1:])

    return count


def _is_attention(operator: str) -> bool:
    """Whether both factors are activations: fused attention, or batched products that spell it out."""
    return "scaled_dot_product" in operator or operator.endswith("bmm")


def _attention_flops(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Operations of fused attention from the shapes [B, H, L, d] and [B, H, S, d]."""
    del args, out_shape, kwargs
    batch, heads, length, width = query
    return int(2 * batch * heads * length * key[2] * (width + value[3]))


# The dispatcher's own table knows only the kernels of accelerators.
_CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


@contextmanager
def _fused_attention_off() -> Iterator[None]:
    """Keep ``nn.MultiheadAttention`` off its fused path, which hides its products from the count."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
