"""How the scale of some values follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from reliability.quant.affine import Grid, asymmetric_parameters, quotient, scale_to, unit_where_zero
from reliability.quant.formats.values import E4M3, Scales, floor_log2

_FLOAT_BITS = 32
_FRACTION = 23
_BIAS = 127
_SMALLEST_EXPONENT, _LARGEST_EXPONENT = -126, 127

Dims = tuple[int, ...]


class Scaling(Protocol):
    """Takes parts to their scales."""

    @property
    def bits(self) -> int:
        """Storage of one scale, with its zero point."""
        ...

    @property
    def outer_bits(self) -> int:
        """Storage of the scale of scales, once for a tensor."""
        ...

    def fit(self, parts: Tensor, dims: Dims, outer_dims: Dims | None = None) -> Scales:
        """Scales of parts.

        Args:
            parts: float32 values.
            dims: Axes that share a scale.
            outer_dims: Axes that share a scale of scales, in formats that have one; None for all.
        """
        ...

    def holds(self, scales: Scales) -> bool:
        """Whether these scales are ones that the format can store."""
        ...


@dataclass(frozen=True)
class AmaxScaling:
    """The largest magnitude becomes the largest value; float32.

    Attributes:
        largest: Of the format's values.
    """

    largest: float
    bits: int = _FLOAT_BITS
    outer_bits: int = 0

    def fit(self, parts: Tensor, dims: Dims, outer_dims: Dims | None = None) -> Scales:
        """One scale along ``dims``; 1 where all is 0."""
        del outer_dims
        return Scales(scale_to(parts.abs().amax(dims, keepdim=True), self.largest))

    def holds(self, scales: Scales) -> bool:
        """Any positive number will do."""
        return bool((scales.scale > 0).all())


@dataclass(frozen=True)
class RangeScaling:
    """The range, widened to include 0, becomes the integer codes; float32 scale, integer zero point.

    Attributes:
        code_bits: Width of a code and of the zero point.
    """

    code_bits: int
    outer_bits: int = 0

    @property
    def bits(self) -> int:
        """A scale and a zero point."""
        return _FLOAT_BITS + self.code_bits

    def fit(self, parts: Tensor, dims: Dims, outer_dims: Dims | None = None) -> Scales:
        """One scale and zero point along ``dims``."""
        del outer_dims
        low, high = parts.amin(dims, keepdim=True), parts.amax(dims, keepdim=True)
        return Scales(*asymmetric_parameters(low, high, Grid(self.code_bits, symmetric=False)))

    def holds(self, scales: Scales) -> bool:
        """Zero points are codes."""
        zero = scales.zero_point
        return zero is not None and bool(((zero == zero.round()) & (zero >= 0) & (zero < 2**self.code_bits)).all())


@dataclass(frozen=True)
class PowerOfTwoScaling:
    """E8M0 scales.

    Attributes:
        largest: Of the format's values.
        ceil: Rounds the scale up where the largest magnitude would be clipped.

    Conventions:
        The scale is 2^(floor(log2 amax) - floor(log2 largest)). That can clip: E2M1
        takes 7.9 to 6. With ``ceil`` it is the smallest power of two that clips
        nothing (2^127 at most). Where all is 0 it is 1.

    Source:
        Open Compute Project, Microscaling Formats (MX) specification 1.0, section 6.3;
        Rouhani et al., arXiv 2310.10537. ``ceil``: Mishra et al., arXiv 2506.08027 (what
        torchao calls RCEIL; its CEIL is up to twice as large). Departure: exponents stop
        at -126, the smallest normal float32's, not at -127.
    """

    largest: float
    ceil: bool
    bits: int = 8
    outer_bits: int = 0

    def fit(self, parts: Tensor, dims: Dims, outer_dims: Dims | None = None) -> Scales:
        """One power of two along ``dims``."""
        del outer_dims
        amax = parts.float().abs().amax(dims, keepdim=True)
        exponent = (amax.contiguous().view(torch.int32) >> _FRACTION) - _BIAS - floor_log2(self.largest)
        if self.ceil:
            exponent = exponent + (amax > self.largest * _power_of_two(exponent))
        return Scales(torch.where(amax == 0, torch.ones_like(amax), _power_of_two(exponent)))

    def holds(self, scales: Scales) -> bool:
        """Every scale is a power of two."""
        patterns = scales.scale.contiguous().view(torch.int32)
        return bool(((patterns & ((1 << _FRACTION) - 1)) == 0).all() and (scales.scale > 0).all())


@dataclass(frozen=True)
class TwoLevelScaling:
    """E4M3 scales of blocks, times a float32 scale of all of them.

    Attributes:
        largest: Of the format's values.

    Conventions:
        The outer scale is amax / (448 * largest), so that the block with the largest
        magnitude has the scale 448. A block scale rounds to nearest; where it is
        rounded down, its block's largest magnitude is clipped. It may be subnormal,
        which torchao avoids. It is 1 where it would be 0, and the values of such a
        block round to 0.

    Source:
        NVIDIA, Pretraining Large Language Models with NVFP4, arXiv 2509.25149. No departure.
    """

    largest: float
    bits: int = 8
    outer_bits: int = _FLOAT_BITS

    def fit(self, parts: Tensor, dims: Dims, outer_dims: Dims | None = None) -> Scales:
        """One E4M3 scale along ``dims``, one float32 scale along ``outer_dims``."""
        magnitude = parts.float().abs()
        everything = magnitude.amax(tuple(range(parts.ndim)) if outer_dims is None else outer_dims, keepdim=True)
        outer = scale_to(everything, E4M3.largest * self.largest)
        wanted = quotient(magnitude.amax(dims, keepdim=True), self.largest) / outer
        return Scales(unit_where_zero(E4M3.nearest(wanted)), outer=outer)

    def holds(self, scales: Scales) -> bool:
        """Every block scale is a positive E4M3 number."""
        return bool(((scales.scale == E4M3.nearest(scales.scale)) & (scales.scale > 0)).all())


def _power_of_two(exponent: Tensor) -> Tensor:
    return ((exponent.clamp(_SMALLEST_EXPONENT, _LARGEST_EXPONENT) + _BIAS) << _FRACTION).view(torch.float32)
