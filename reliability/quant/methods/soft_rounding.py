"""Roundings that are learned: between the two neighbours of a weight, softly at first, and in the end up or down."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

import torch
from torch import Tensor

from reliability.quant.affine import Limit
from reliability.quant.formats.values import Integers, Minifloat, Scales, Values
from reliability.quant.layers import QuantLayer, scales_of

_STRETCH, _OFFSET = 1.2, -0.1
_MARGIN = 1e-4


@dataclass(frozen=True)
class Pressure:
    """What drives soft roundings to up or down in the course of so many steps.

    Attributes:
        weight: Of the term, beside the error that is made small.
        first_exponent, last_exponent: Of the term, from flat to steep.
        free: Share of the steps, the first ones, without it.
    """

    weight: float = 0.01
    first_exponent: float = 20.0
    last_exponent: float = 2.0
    free: float = 0.2

    def exponent(self, step: int, steps: int) -> float | None:
        """Beta of a step, None while roundings are free."""
        share = (step / steps - self.free) / (1 - self.free)
        if share < 0:
            return None
        return self.last_exponent + (self.first_exponent - self.last_exponent) * (1 + cos(share * pi)) / 2


class SoftRounding:
    """Weights between their neighbours on a grid, as far up as a logit each says.

    Args:
        wanted: Float weights.
        lower, upper: Their neighbours, of the same shape.

    Attributes:
        logits: What is learned, of the same shape; it begins where the soft weight is the
            float weight.
    """

    def __init__(self, wanted: Tensor, lower: Tensor, upper: Tensor) -> None:
        self.lower, self.upper, self.gap = lower, upper, upper - lower
        share = torch.where(self.gap > 0, (wanted - lower) / self.gap, torch.zeros_like(self.gap))
        share = share.clamp(_MARGIN, 1 - _MARGIN)
        self.logits = torch.logit((share - _OFFSET) / _STRETCH).requires_grad_()

    def share(self) -> Tensor:
        """How far up each weight is, in [0, 1], differentiable in the logits."""
        return rectified_sigmoid(self.logits)

    def weight(self, share: Tensor) -> Tensor:
        """The soft weight for a share of the way up."""
        return self.lower + self.gap * share

    def up(self) -> Tensor:
        """Whether each weight goes up, boolean."""
        return rectified_sigmoid(self.logits.detach()) >= 0.5

    def rounded(self) -> Tensor:
        """The weight on its grid."""
        return torch.where(self.up(), self.upper, self.lower)


def rectified_sigmoid(logits: Tensor) -> Tensor:
    """clip(1.2 sigmoid(V) - 0.1, 0, 1), which reaches both ends."""
    return (torch.sigmoid(logits) * _STRETCH + _OFFSET).clamp(0, 1)


def undecided(soft: Tensor, exponent: float) -> Tensor:
    """Sum of 1 - |2h - 1|^beta: 0 where every h is 0 or 1.

    Example:
        >>> float(undecided(torch.tensor([0.0, 1.0, 0.5, 0.75]), 2.0))
        1.75
    """
    return (1 - (2 * soft - 1).abs() ** exponent).sum()


def neighbours(layer: QuantLayer, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The largest values of a layer's grid that are no larger than a weight, and the next ones; both of its shape.

    Conventions:
        Beyond the grid's ends both are the end.
    """
    form, scales = layer.format, scales_of(layer)
    plain = form.sharing.split(weight) / scales.step
    gap, low, high = _grid_at(form.values, plain, scales)
    down = torch.floor(plain / gap) * gap
    sides = (down.clamp(low, high) * scales.step, (down + gap).clamp(low, high) * scales.step)
    return form.sharing.merge(sides[0], weight.shape), form.sharing.merge(sides[1], weight.shape)


def _grid_at(values: Values, plain: Tensor, scales: Scales) -> tuple[Limit, Limit, Limit]:
    """Spacing at weights in units of their scale, smallest and largest value there."""
    if isinstance(values, Minifloat):
        return values.spacing(plain), -values.largest, values.largest
    assert isinstance(values, Integers)
    zero = 0.0 if scales.zero_point is None else scales.zero_point
    return 1.0, values.grid.qmin - zero, values.grid.qmax - zero
