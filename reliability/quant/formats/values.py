"""Values that one element of a format may take, before it is multiplied by its scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from reliability.quant.affine import Grid, fake_quantize, straight_through, unit_where_zero

_FRACTION = 23
_EXPONENT_MASK = 0x7F800000
_BIAS = 127


class Scales(NamedTuple):
    """What a format multiplies its values by; every field is float32 and broadcasts to what is scaled.

    Attributes:
        scale: One for each part.
        zero_point: Code of 0, shaped as ``scale``; None for formats without one.
        outer: Multiplies ``scale`` where scales have a scale of their own.
    """

    scale: Tensor
    zero_point: Tensor | None = None
    outer: Tensor | None = None

    @property
    def step(self) -> Tensor:
        """The two scales in one; 1 where their product underflows to 0."""
        return self.scale if self.outer is None else unit_where_zero(self.scale * self.outer)


class Values(Protocol):
    """The values of one element."""

    @property
    def bits(self) -> int:
        """Width of a code."""
        ...

    @property
    def largest(self) -> float:
        """Largest value."""
        ...

    def snap(self, x: Tensor, scales: Scales) -> Tensor:
        """The nearest scaled values, ties to even, with a straight-through gradient."""
        ...

    def steps_off(self, x: Tensor, scales: Scales) -> Tensor:
        """Distance from the nearest scaled value in units of the spacing there, shape of ``x``."""
        ...


@dataclass(frozen=True)
class Integers:
    """Integers of a width, around 0 or around a zero point.

    Attributes:
        bits: Width of a code.
        symmetric: As in :class:`reliability.quant.affine.Grid`.
    """

    bits: int
    symmetric: bool = True

    @property
    def grid(self) -> Grid:
        """The codes."""
        return Grid(self.bits, self.symmetric)

    @property
    def largest(self) -> float:
        """Largest code."""
        return float(self.grid.qmax)

    def snap(self, x: Tensor, scales: Scales) -> Tensor:
        """Round to the nearest code, ties to even."""
        return fake_quantize(x, scales.step, scales.zero_point, self.grid)

    def steps_off(self, x: Tensor, scales: Scales) -> Tensor:
        """0 up to float rounding for what was snapped with these scales."""
        shift = 0.0 if scales.zero_point is None else scales.zero_point
        codes = x / scales.step + shift
        return (codes - codes.round().clamp(self.grid.qmin, self.grid.qmax)).abs()


@dataclass(frozen=True)
class HalfIntegers:
    """Half-integers of a width, +-1/2 to +-(2^(b-1) - 1/2): every code is used, and 0 has none.

    Attributes:
        bits: Width of a code, from 1.
    """

    bits: int

    @property
    def largest(self) -> float:
        """Largest value."""
        return float(2 ** (self.bits - 1)) - 0.5

    def snap(self, x: Tensor, scales: Scales) -> Tensor:
        """The middle of the unit cell, the upper one at an integer.

        Example:
            >>> HalfIntegers(2).snap(torch.tensor([0.2, -0.2, 1.0, 9.0]), Scales(torch.tensor(1.0))).tolist()
            [0.5, -0.5, 1.5, 1.5]
        """
        return straight_through(x, scales.step, -self.largest, self.largest, _cell_middle)

    def steps_off(self, x: Tensor, scales: Scales) -> Tensor:
        """0 up to float rounding for what was snapped with these scales."""
        plain = x / scales.step
        return (plain - _cell_middle(plain.clone()).clamp(-self.largest, self.largest)).abs()


def _cell_middle(x: Tensor) -> Tensor:
    return x.floor_().add_(0.5)


@dataclass(frozen=True)
class Minifloat:
    """Floating-point numbers of a few bits, with subnormals and without infinity.

    Attributes:
        exponent_bits, mantissa_bits: Widths; with the sign they make up the code.
        largest: Largest value; larger ones are clamped to it.

    Conventions:
        The exponent's bias is 2^(exponent_bits - 1) - 1. Ties go to the even
        mantissa. The gradient is 1 where a number that rounds without a largest
        value would not pass it, and 0 elsewhere. Inputs are float32, and dividing by
        a power of two is exact, so results are the same on every device.

    Source:
        Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433 (E4M3,
        E5M2); Open Compute Project, Microscaling Formats (MX) specification 1.0 (E2M3,
        E2M1). No departure: both leave it open to saturate.
    """

    exponent_bits: int
    mantissa_bits: int
    largest: float

    @property
    def bits(self) -> int:
        """Width of a code, with its sign."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def smallest_exponent(self) -> int:
        """Exponent of the smallest normal number, and of all subnormals."""
        return 2 - (1 << (self.exponent_bits - 1))

    @property
    def largest_exponent(self) -> int:
        """Exponent of the largest value."""
        return floor_log2(self.largest)

    def spacing(self, x: Tensor) -> Tensor:
        """Distance between neighbouring values at ``x``, a power of two."""
        ends = self.smallest_exponent + _BIAS << _FRACTION, self.largest_exponent + _BIAS << _FRACTION
        exponents = (x.view(torch.int32) & _EXPONENT_MASK).clamp_(*ends)
        return exponents.sub_(self.mantissa_bits << _FRACTION).view(torch.float32)

    def rounded(self, x: Tensor) -> Tensor:
        """The nearest value if there were no largest one, in place."""
        spacing = self.spacing(x)
        return x.div_(spacing).round_().mul_(spacing)

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest value, ties to even.

        Example:
            >>> E2M1.nearest(torch.tensor([0.25, 2.5, 3.6, -100.0])).tolist()
            [0.0, 2.0, 4.0, -6.0]
        """
        return self.rounded(x.clone()).clamp_(-self.largest, self.largest)

    def snap(self, x: Tensor, scales: Scales) -> Tensor:
        """The nearest scaled values."""
        return straight_through(x, scales.step, -self.largest, self.largest, self.rounded)

    def steps_off(self, x: Tensor, scales: Scales) -> Tensor:
        """0 up to float rounding for what was snapped with these scales."""
        plain = x / scales.step
        return (plain - self.nearest(plain)).abs() / self.spacing(plain)


def floor_log2(x: float) -> int:
    """Exponent of a positive number, exactly."""
    return frexp(x)[1] - 1


E4M3 = Minifloat(4, 3, 448.0)
E5M2 = Minifloat(5, 2, 57344.0)
E2M3 = Minifloat(2, 3, 7.5)
E2M1 = Minifloat(2, 1, 6.0)
