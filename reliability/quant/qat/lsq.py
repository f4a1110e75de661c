"""Learned step size quantization of activations."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.quantizers import StaticQuantizer

_SMALLEST_SHARE = 1e-2
"""A step never shrinks below this share of its initial value, which keeps it positive."""


class LearnedStep(nn.Module):
    """A static quantizer whose scale is trained.

    Args:
        quantizer: Source of the initial scale and of the zero point, which stays fixed.

    Conventions:
        The zero point makes the integer limits -zero_point and qmax - zero_point;
        they take the places of -Qn and Qp in the paper.

    Source:
        Esser et al., Learned Step Size Quantization, ICLR 2020 (arXiv 1902.08153).
        Departures: an asymmetric range, the initial step from range setting instead
        of 2 mean|v| / sqrt(Qp), and both ends of the range count as inside it.
    """

    def __init__(self, quantizer: StaticQuantizer) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.scale = nn.Parameter(quantizer.scale.clone())
        self.initial_scale = float(quantizer.scale)
        zero_point = float(quantizer.zero_point)
        self.lower, self.upper = quantizer.grid.qmin - zero_point, quantizer.grid.qmax - zero_point

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return lsq(x, self.scale, self.lower, self.upper)

    @torch.no_grad()
    def keep_positive(self) -> None:
        """Undo an optimizer step that took the scale to zero or below."""
        self.scale.clamp_(min=self.initial_scale * _SMALLEST_SHARE)

    @torch.no_grad()
    def finish(self) -> StaticQuantizer:
        """The original quantizer with the trained scale."""
        self.quantizer.scale.copy_(self.scale)
        return self.quantizer


def lsq(x: Tensor, scale: Tensor, lower: float, upper: float) -> Tensor:
    """scale * clip(round(x / scale), lower, upper), differentiable in both.

    Args:
        x: Any shape.
        scale: 0-d, positive.
        lower, upper: Integer limits.

    Conventions:
        With v = x / scale: the gradient of x is 1 for lower <= v <= upper, else 0.
        That of the scale is round(v) - v inside, the limit outside, summed and
        multiplied by 1 / sqrt(numel(x) * upper), with at least 1 for ``upper``.
    """
    return _Lsq.apply(x, scale, lower, upper)  # type: ignore[no-any-return, no-untyped-call]


class _Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lower: float, upper: float) -> Tensor:
        v = x / scale
        ctx.save_for_backward(v)
        ctx.limits = lower, upper
        return v.round().clamp_(lower, upper).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (v,) = ctx.saved_tensors
        lower, upper = ctx.limits
        clipped = v.clamp(lower, upper)
        inside = clipped == v
        slope = clipped.round_().sub_(v * inside)
        share = 1 / sqrt(v.numel() * max(upper, 1.0))
        return grad * inside, (grad * slope).sum() * share, None, None
