"""Activations that are quantized at random while a unit learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.qat.lsq import LearnedStep
from reliability.quant.quantizers import StaticQuantizer


class Dropping(nn.Module):
    """A static quantizer with a learned step that leaves a random share of its input as it is.

    Args:
        quantizer: Source of the step.
        share: Of the values that stay in float.
        generator: Draws which.
    """

    def __init__(self, quantizer: StaticQuantizer, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.step, self.share, self.generator = LearnedStep(quantizer), share, generator

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize the others, any shape."""
        return mixed(self.step(x), x, self.share, self.generator)

    def finish(self) -> None:
        """Give the quantizer the learned step."""
        self.step.finish()


def mixed(x: Tensor, other: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Values of ``x``, but for a random share of them, which come from ``other``."""
    draw = torch.rand(x.shape, generator=generator).to(x.device)
    return torch.where(draw < share, other, x)
