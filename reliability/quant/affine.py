"""Uniform affine quantization: scales, codes, and the rounding that simulates them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """The integer codes of one width.

    Attributes:
        bits: Width of a code, 2 to 8.
        symmetric: Codes -(2^(b-1)-1)..2^(b-1)-1 without a zero point, else 0..2^b-1 with one.

    Conventions:
        The symmetric grid leaves out -2^(b-1), so that x and -x have opposite codes.
    """

    bits: int
    symmetric: bool

    @property
    def qmin(self) -> int:
        """Smallest code."""
        return -self.qmax if self.symmetric else 0

    @property
    def qmax(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1 if self.symmetric else (1 << self.bits) - 1


def channel_amax(weight: Tensor) -> Tensor:
    """Largest magnitude per output channel (axis 0), shape [C, 1, ...] to broadcast."""
    return weight.abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True)


def symmetric_scale(amax: Tensor, grid: Grid) -> Tensor:
    """Scale of a symmetric grid, float32, same shape as ``amax``.

    Conventions:
        Where ``amax`` is 0 (or the quotient underflows to it) the scale is 1.
        NaN stays NaN.
    """
    return _unit_where_zero(amax.float() / grid.qmax)


def asymmetric_parameters(low: Tensor, high: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Scale and zero point of an asymmetric grid over [low, high].

    Returns:
        float32 tensors of the inputs' shape; the zero point holds an integer code.

    Conventions:
        The range is widened to include 0, so 0 is represented exactly. An empty
        range has scale 1. Rounding the zero point can move either end of the
        range by half a step.
    """
    low, high = low.float().clamp(max=0), high.float().clamp(min=0)
    scale = _unit_where_zero((high - low) / (grid.qmax - grid.qmin))
    zero_point = (grid.qmin - low / scale).round_().clamp_(grid.qmin, grid.qmax)
    return scale, zero_point


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, grid: Grid) -> Tensor:
    """Codes clamp(round_half_even(x / scale) + zero_point, qmin, qmax), int32.

    Args:
        x: Values of any shape.
        scale: Broadcastable to ``x``: 0-d per tensor, [C, 1, ...] per channel, [..., 1] per token.
        zero_point: 0-d, or None for 0.
        grid: The codes.
    """
    steps = torch.div(x, scale).round_().clamp_(*_limits(zero_point, grid))
    return (steps if zero_point is None else steps + zero_point).to(torch.int32)


def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """Values scale * (codes - zero_point), float32."""
    values = codes.float()
    return (values if zero_point is None else values - zero_point) * scale


def fake_quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, grid: Grid) -> Tensor:
    """Quantize and dequantize at once, with a straight-through gradient; arguments as in :func:`quantize`.

    Conventions:
        The gradient is 1 where the rounded code lies inside the grid and 0
        outside; scales and zero points get none.

    Source:
        Bengio, Léonard & Courville, arXiv 1308.3432 (straight-through estimator).
    """
    limits = _limits(zero_point, grid)
    if x.requires_grad and torch.is_grad_enabled():
        return _StraightThrough.apply(x, scale, *limits)  # type: ignore[no-any-return, no-untyped-call]
    return torch.div(x, scale).round_().clamp_(*limits).mul_(scale)


def _unit_where_zero(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def _limits(zero_point: Tensor | None, grid: Grid) -> tuple[float, float]:
    """Ends of the grid before the zero point is added.

    Plain numbers, because limits that are tensors measured six times slower, and
    shifting by the zero point and back costs two more passes over memory.
    """
    shift = 0.0 if zero_point is None else zero_point.item()
    return grid.qmin - shift, grid.qmax - shift


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lower: float, upper: float) -> Tensor:
        steps = torch.div(x, scale).round_()
        clamped = steps.clamp(lower, upper)
        ctx.save_for_backward(steps == clamped)
        return clamped.mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None
