"""PACT: learned clipping of activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.qat.learnable import SMALLEST_SHARE, Group, LearnedQuantizer, end_as, whole_steps
from reliability.quant.quantizers import StaticQuantizer

_DECAY = 0.1
"""Weight decay of the ends: without it a range that clips nothing would get no gradient and never move."""


class LearnedClip(LearnedQuantizer):
    """A static quantizer whose two ends are trained.

    Args:
        quantizer: Source of the initial range.

    Conventions:
        The ends are learned as shares of their initial values, so an end that starts
        at 0, as that of a rectified activation, stays there. Before quantizing, the
        range is shifted to whole steps, with a straight-through gradient.

    Source:
        Choi et al., PACT, 2018 (arXiv 1805.06085). Departures: two ends, because a
        transformer's activations are signed (the paper clips at 0 below); decoupled
        weight decay in place of its L2 term.
    """

    initial: Tensor

    def __init__(self, quantizer: StaticQuantizer) -> None:
        super().__init__(quantizer)
        self.top = quantizer.grid.qmax - quantizer.grid.qmin
        low = (quantizer.grid.qmin - quantizer.zero_point) * quantizer.scale
        self.register_buffer("initial", torch.stack([low, low + self.top * quantizer.scale]))
        self.shares = nn.Parameter(torch.ones_like(self.initial))

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""
        low, high, scale = self._ends()
        start = whole_steps(low, scale)
        return pact(x, start, high + (start - low).detach(), self.top)

    def groups(self, rate: float) -> list[Group]:
        """Both ends, with a decay that narrows the range."""
        return [{"params": [self.shares], "weight_decay": _DECAY, "lr": rate}]

    @torch.no_grad()
    def keep_valid(self) -> None:
        """Undo a step that let an end cross 0."""
        self.shares.clamp_(min=SMALLEST_SHARE)

    def finish(self) -> StaticQuantizer:
        """The original quantizer with the trained range."""
        low, _, scale = self._ends()
        return end_as(self.quantizer, scale, low)

    def _ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Low and high end, and the step between codes without a gradient."""
        low, high = (self.initial * self.shares).unbind()
        return low, high, ((high - low) / self.top).detach()


def pact(x: Tensor, low: Tensor, high: Tensor, top: int) -> Tensor:
    """Clip to [low, high] and round to the nearest of ``top`` equal steps, differentiable in all three.

    Args:
        x: Any shape.
        low, high: 0-d, low < high.
        top: Number of steps.

    Conventions:
        The gradient of x is 1 for low <= x <= high, else 0; that of an end is 1 beyond
        it, else 0, summed over x.
    """
    clipped = x.clamp(low, high)
    scale = (high - low).detach() / top
    rounded = ((clipped.detach() - low.detach()) / scale).round() * scale + low.detach()
    return clipped + (rounded - clipped).detach()
