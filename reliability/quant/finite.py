"""Refuse models whose numbers cannot be quantized, naming the place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.towers import encode


def require_finite_weights(clip: nn.Module) -> None:
    """Raise a QuantizationError naming the first saved tensor that is not finite float32."""
    for name, value in clip.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            _refuse(f"weight {name}", f"quantization is simulated in float32, not {value.dtype}", "load it in FP32")
        if not bool(torch.isfinite(value).all()):
            _refuse(f"weight {name}", "a weight is NaN or infinite", "check the checkpoint")


def require_finite_activations(clip: nn.Module, images: Tensor, tokens: Tensor) -> None:
    """Raise a QuantizationError naming the first innermost module whose output is not finite."""
    with torch.no_grad(), ExitStack() as stack:
        for name, module in clip.named_modules():
            if not any(module.children()):
                stack.callback(module.register_forward_hook(_check(name)).remove)
        encode(clip, "vision", images)
        encode(clip, "text", tokens)


def _check(name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        del module, inputs
        if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
            what = "the FP32 model's own activations are NaN or infinite"
            _refuse(f"layer {name}", what, "check the range-setting images and the checkpoint")

    return hook


def _refuse(where: str, what: str, advice: str) -> None:
    raise QuantizationError(where=where, what=what, next=advice)
