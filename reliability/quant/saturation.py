"""How often quantizers run into the ends of their grids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.formats.values import Integers, Minifloat, Scales, Values


class SaturationObserver:
    """Counts what a quantizer makes of its inputs.

    Args:
        quantizer: Has ``values`` and ``parts``, as those of :mod:`reliability.quant.quantizers` do.

    Attributes:
        seen, saturated, clipped: Numbers of inputs.

    Conventions:
        Saturated are inputs that become the largest or the smallest value of their grid,
        clipped those that rounding would have taken beyond it. A lowest code that stands
        for 0 exactly is no end: what lies there loses nothing. Scales that come from the
        data reach their largest input by themselves, so a dynamic quantizer clips nothing
        and saturates at one input of each token at least.
    """

    def __init__(self, quantizer: nn.Module) -> None:
        self.quantizer: Any = quantizer
        self.seen = self.saturated = self.clipped = 0

    def update(self, x: Tensor) -> None:
        """Take in a quantizer's input."""
        saturated, clipped = count_ends(self.quantizer.values, *self.quantizer.parts(x))
        self.seen += x.numel()
        self.saturated += saturated
        self.clipped += clipped

    @property
    def rates(self) -> tuple[float, float]:
        """Shares of saturated and of clipped inputs; 0 where nothing was seen."""
        return (self.saturated / self.seen, self.clipped / self.seen) if self.seen else (0.0, 0.0)


def count_ends(values: Values, x: Tensor, scales: Scales) -> tuple[int, int]:
    """How many inputs become an outermost value of their grid, and how many rounding takes beyond it.

    Example:
        >>> count_ends(Integers(8), torch.tensor([-2.0, 1.0, 1.27, 1.274]), Scales(torch.tensor(0.01)))
        (3, 1)
    """
    steps = x / scales.step
    if isinstance(values, Minifloat):
        rounded, lowest, highest, open_below = values.rounded(steps), -values.largest, values.largest, None
    else:
        assert isinstance(values, Integers)
        zero_point = 0.0 if scales.zero_point is None else scales.zero_point
        lowest, highest = values.grid.qmin, values.grid.qmax
        rounded, open_below = steps.round_().add_(zero_point), zero_point == lowest
    above, below = _count(rounded > highest), _count(rounded < lowest)
    low_end = rounded == lowest if open_below is None else (rounded == lowest) & ~torch.as_tensor(open_below)
    return above + below + _count(rounded == highest) + _count(low_end), above + below


def _count(mask: Tensor) -> int:
    return int(torch.count_nonzero(mask))
