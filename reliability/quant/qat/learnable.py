"""What a training needs of the modules whose steps and ranges it learns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.formats.values import Scales
from reliability.quant.quantizers import StaticQuantizer

Group = dict[str, Any]
"""A parameter group of a torch optimizer."""

SMALLEST_SHARE = 1e-2
"""No learned step or range shrinks below this share of its initial value, which keeps it positive."""


class Learnable(ABC, nn.Module):
    """A module with parameters that are trained at a rate of their own."""

    @abstractmethod
    def groups(self, rate: float) -> list[Group]:
        """Its parameters, with the optimizer's settings for them.

        Args:
            rate: Peak change in one step, as a share of the initial value.
        """

    @abstractmethod
    def keep_valid(self) -> None:
        """Undo what an optimizer step must not have done."""


class LearnedQuantizer(Learnable):
    """A static activation quantizer whose range is trained.

    Args:
        quantizer: Source of the initial range.
    """

    def __init__(self, quantizer: StaticQuantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize, any shape."""

    @abstractmethod
    def finish(self) -> StaticQuantizer:
        """The original quantizer with the trained range."""


class WeightRule(ABC, nn.Module):
    """Parametrization that shows a layer its float weight as it will be once trained."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """The weight to compute with, same shape."""

    @abstractmethod
    def scales(self, weight: Tensor) -> Scales:
        """Scales of the grid on which :meth:`forward` puts a float weight."""


def whole_steps(offset: Tensor, scale: Tensor) -> Tensor:
    """The nearest multiple of the scale, with the offset's own gradient.

    An offset of whole steps makes the zero point an integer and 0 exact, which padding
    and integer kernels rely on.
    """
    return offset + ((offset / scale).round() * scale - offset).detach()


@torch.no_grad()
def end_as(quantizer: StaticQuantizer, scale: Tensor, offset: Tensor) -> StaticQuantizer:
    """Give a quantizer a scale and an offset of whole steps, the value of its smallest code."""
    quantizer.scale.copy_(scale)
    quantizer.zero_point.copy_(quantizer.grid.qmin - (offset / scale).round())
    return quantizer
