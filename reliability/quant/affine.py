"""Uniform affine quantization: scales, codes, and the rounding that simulates them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Limit = Any
"""A number, or a tensor where each channel has its own."""


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
    return scale_to(amax, grid.qmax)


def scale_to(amax: Tensor, largest: float) -> Tensor:
    """Scale that takes ``amax`` to the largest value of a format; conventions as in :func:`symmetric_scale`."""
    return unit_where_zero(quotient(amax, largest))


def quotient(x: Tensor, divisor: float) -> Tensor:
    """x / divisor in float32, the same on every device.

    The divisor becomes a tensor, because a GPU multiplies by the reciprocal of a
    plain number, which can be off in the last bit.
    """
    return x.float() / torch.full((), divisor, dtype=torch.float32, device=x.device)


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
    scale = scale_to(high - low, grid.qmax - grid.qmin)
    zero_point = (grid.qmin - low / scale).round_().clamp_(grid.qmin, grid.qmax)
    return scale, zero_point


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, grid: Grid) -> Tensor:
    """Codes clamp(round_half_even(x / scale) + zero_point, qmin, qmax), int32.

    Args:
        x: Values of any shape.
        scale: Broadcastable to ``x``: 0-d per tensor, [C, 1, ...] per channel, [..., 1] per token.
        zero_point: Shaped as ``scale``, or None for 0.
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
    return straight_through(x, scale, *_limits(zero_point, grid))


def straight_through(
    x: Tensor, scale: Tensor, lower: Limit, upper: Limit, rounded: Callable[[Tensor], Tensor] = torch.Tensor.round_
) -> Tensor:
    """scale * clamp(rounded(x / scale), lower, upper) with the gradient of :func:`fake_quantize`.

    Args:
        x: Values of any shape.
        scale: Broadcastable to ``x``.
        lower, upper: Ends of the values that may be multiplied by the scale.
        rounded: Takes x / scale, which it may overwrite, to the nearest of them.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _StraightThrough.apply(x, scale, lower, upper, rounded)  # type: ignore[no-any-return, no-untyped-call]
    return rounded(torch.div(x, scale)).clamp_(lower, upper).mul_(scale)


def unit_where_zero(scale: Tensor) -> Tensor:
    """The scale, with 1 in place of 0."""
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def _limits(zero_point: Tensor | None, grid: Grid) -> tuple[Limit, Limit]:
    """Ends of the grid before the zero point is added.

    Plain numbers where they serve, because limits that are tensors measured six
    times slower, and shifting by the zero point and back costs two more passes
    over memory.
    """
    if zero_point is None:
        return grid.qmin, grid.qmax
    shift = zero_point.item() if zero_point.numel() == 1 else zero_point
    return grid.qmin - shift, grid.qmax - shift


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, lower: Limit, upper: Limit, rounded: Callable[[Tensor], Tensor]
    ) -> Tensor:
        steps = rounded(torch.div(x, scale))
        clamped = steps.clamp(lower, upper)
        ctx.save_for_backward(steps == clamped)
        return clamped.mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None, None
