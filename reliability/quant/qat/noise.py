"""The noise arm: what training does to a model when there is no grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.formats import WeightFormat
from reliability.quant.formats.values import Scales
from reliability.quant.qat.learnable import WeightRule
from reliability.quant.quantizers import StaticQuantizer


class StepNoise(nn.Module):
    """Adds uniform noise as wide as a step of a quantizer, whose range clips nothing here.

    Args:
        quantizer: Whose step it is.
        generator: Of the noise, fresh in every forward pass.
    """

    def __init__(self, quantizer: StaticQuantizer, generator: torch.Generator) -> None:
        super().__init__()
        self.quantizer, self.generator = quantizer, generator

    def forward(self, x: Tensor) -> Tensor:
        """``x`` plus noise."""
        return x + uniform(x, self.generator) * self.quantizer.scale


class NoisyWeight(WeightRule):
    """Adds uniform noise as wide as the step that rounding a weight would have.

    Args:
        format: Whose step it is, recomputed from the weight in every forward pass.
        weight: Not needed; every rule is made with it.
        generator: Of the noise.
    """

    def __init__(self, format: WeightFormat, weight: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        del weight
        self.format, self.generator = format, generator

    def forward(self, weight: Tensor) -> Tensor:
        """The weight plus noise."""
        parts = self.format.sharing.split(weight)
        noise = uniform(parts, self.generator) * self.scales(weight).step
        return weight + self.format.sharing.merge(noise, weight.shape)

    def scales(self, weight: Tensor) -> Scales:
        """Those of the grid that is not used."""
        return self.format.scales(weight)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [-0.5, 0.5), which have the variance of rounding to whole numbers."""
    noise = torch.rand(like.shape, generator=generator, device=generator.device, dtype=torch.float32)
    return noise.sub_(0.5).to(like.device)
