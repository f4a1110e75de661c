"""Learned step size quantization of activations."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.affine import Limit
from reliability.quant.qat.learnable import SMALLEST_SHARE, Group, LearnedQuantizer
from reliability.quant.quantizers import StaticQuantizer


class LearnedStep(LearnedQuantizer):
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
        super().__init__(quantizer)
        self.scale = nn.Parameter(quantizer.scale.clone())
        self.initial_scale = float(quantizer.scale)
        zero_point = float(quantizer.zero_point)
        self.lower, self.upper = quantizer.grid.qmin - zero_point, quantizer.grid.qmax - zero_point

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return lsq(x, self.scale, self.lower, self.upper)

    def groups(self, rate: float) -> list[Group]:
        """The scale, without weight decay."""
        return [{"params": [self.scale], "weight_decay": 0.0, "lr": rate * self.initial_scale}]

    @torch.no_grad()
    def keep_valid(self) -> None:
        """Undo an optimizer step that took the scale to zero or below."""
        self.scale.clamp_(min=self.initial_scale * SMALLEST_SHARE)

    @torch.no_grad()
    def finish(self) -> StaticQuantizer:
        """The original quantizer with the trained scale."""
        self.quantizer.scale.copy_(self.scale)
        return self.quantizer


def lsq(x: Tensor, scale: Tensor, lower: Limit, upper: Limit) -> Tensor:
    """scale * clip(round(x / scale), lower, upper), differentiable in both.

    Args:
        x: Any shape.
        scale: Positive; 0-d, or broadcastable to ``x`` where parts of it have one each.
        lower, upper: Integer limits, numbers or tensors shaped as the scale.

    Conventions:
        With v = x / scale: the gradient of x is 1 for lower <= v <= upper, else 0.
        That of a scale is round(v) - v inside, the limit outside, summed over its
        N values and multiplied by 1 / sqrt(N * upper), with at least 1 for ``upper``.
    """
    return _Lsq.apply(x, scale, lower, upper)  # type: ignore[no-any-return, no-untyped-call]


class _Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lower: Limit, upper: Limit) -> Tensor:
        v = x / scale
        ctx.save_for_backward(v)
        ctx.limits, ctx.shape = (lower, upper), scale.shape
        return v.round().clamp_(lower, upper).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (v,) = ctx.saved_tensors
        lower, upper = ctx.limits
        clipped = v.clamp(lower, upper)
        inside = clipped == v
        slope = clipped.round_().sub_(v * inside)
        slopes = (grad * slope).sum_to_size(ctx.shape)
        return grad * inside, slopes * gradient_share(v.numel() // slopes.numel(), upper), None, None


def gradient_share(count: int, upper: Limit) -> Limit:
    """What the gradient of a step is multiplied by, 1 / sqrt(count * upper) with at least 1 for ``upper``."""
    if isinstance(upper, Tensor):
        return (count * upper.clamp(min=1.0)).rsqrt()
    return 1 / sqrt(count * max(upper, 1.0))
