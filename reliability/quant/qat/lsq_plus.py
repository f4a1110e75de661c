"""LSQ+: learned step sizes and offsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.formats import WeightFormat
from reliability.quant.formats.values import Scales
from reliability.quant.qat.learnable import SMALLEST_SHARE, Group, LearnedQuantizer, end_as, whole_steps
from reliability.quant.qat.lsq import gradient_share
from reliability.quant.quantizers import StaticQuantizer

_DEVIATIONS = 3


class LearnedStepAndOffset(LearnedQuantizer):
    """A static quantizer whose scale and offset are trained.

    Args:
        quantizer: Source of the initial scale and of the offset, the value of code 0.

    Conventions:
        In every forward pass the offset is rounded to whole steps, with a
        straight-through gradient, and kept where 0 is a code.

    Source:
        Bhalgat et al., LSQ+, CVPR Workshops 2020 (arXiv 2004.09576); the initial range
        of least squared error, too. Departures: the offset of whole steps, without which
        0 is no code and padding inexact, and both ends of the range count as inside it.
    """

    def __init__(self, quantizer: StaticQuantizer) -> None:
        super().__init__(quantizer)
        self.top = quantizer.grid.qmax - quantizer.grid.qmin
        self.initial_scale = float(quantizer.scale)
        self.scale = nn.Parameter(quantizer.scale.clone())
        self.offset = nn.Parameter((quantizer.grid.qmin - quantizer.zero_point) * quantizer.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        return lsq_plus(x, self.scale, whole_steps(self.offset, self.scale.detach()), self.top)

    def groups(self, rate: float) -> list[Group]:
        """The scale at its own rate, the offset at that of the range's width; no weight decay."""
        step = rate * self.initial_scale
        return [
            {"params": [self.scale], "weight_decay": 0.0, "lr": step},
            {"params": [self.offset], "weight_decay": 0.0, "lr": step * self.top},
        ]

    @torch.no_grad()
    def keep_valid(self) -> None:
        """Undo a step that made the scale too small, or left 0 outside the range."""
        self.scale.clamp_(min=self.initial_scale * SMALLEST_SHARE)
        self.offset.clamp_(max=0.0).clamp_(min=-self.top * self.scale)

    def finish(self) -> StaticQuantizer:
        """The original quantizer with the trained scale and zero point."""
        return end_as(self.quantizer, self.scale, self.offset)


def lsq_plus(x: Tensor, scale: Tensor, offset: Tensor, top: int) -> Tensor:
    """scale * round(clip((x - offset) / scale, 0, top)) + offset, differentiable in all three.

    Args:
        x: Any shape.
        scale: 0-d, positive.
        offset: 0-d, the value of code 0.
        top: Largest code.

    Conventions:
        With v = (x - offset) / scale: the gradient of x is 1 for 0 <= v <= top, else 0.
        That of the scale is round(v) - v inside, the limit outside; that of the offset
        0 inside, 1 outside. Both are summed and multiplied by 1 / sqrt(numel(x) * top).
    """
    share = float(gradient_share(x.numel(), float(top)))
    scale, offset = _slowed(scale, share), _slowed(offset, share)
    codes = ((x - offset) / scale).clamp(0, top)
    return (codes + (codes.round() - codes).detach()) * scale + offset


def wide_scales(format: WeightFormat, weight: Tensor) -> Scales:
    """Scales that cover three standard deviations around the mean of the weights that share one.

    Conventions:
        Zeros that fill up a short last group count as weights. Parts of equal weights,
        and formats with zero points, have the scales of round to nearest.

    Source:
        Bhalgat et al. (arXiv 2004.09576). Departure: divided by the largest code
        2^(b-1) - 1 of the grid used here instead of by 2^(b-1).
    """
    plain = format.scales(weight)
    if plain.zero_point is not None:
        return plain
    parts = format.sharing.split(weight.detach())
    deviation, mean = torch.std_mean(parts, format.sharing.dims(parts), correction=0, keepdim=True)
    scale = (mean.abs() + _DEVIATIONS * deviation) / format.values.largest
    return plain._replace(scale=torch.where(deviation > 0, scale, plain.scale))


def _slowed(parameter: Tensor, share: float) -> Tensor:
    """The same values with that share of the gradient."""
    return parameter.detach() + (parameter - parameter.detach()) * share
