"""Observers: what a quantizer's range is set from, pooled over any number of batches."""

from __future__ import annotations

import torch
from torch import Tensor

from reliability.errors import QuantizationError

_MOMENTUM = 0.1


class RangeObserver:
    """Smallest and largest value seen.

    Args:
        layer: Name for error messages.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self._ends: tuple[Tensor, Tensor] | None = None

    def update(self, x: Tensor) -> None:
        """Take in a layer's input, any shape; an empty tensor changes nothing.

        Raises:
            QuantizationError: A value is NaN or infinite.
        """
        if x.numel() == 0:
            return
        low, high = torch.aminmax(x.detach().float())
        require_finite(low + high, self.layer)
        if self._ends is not None:
            low, high = torch.minimum(low, self._ends[0]), torch.maximum(high, self._ends[1])
        self._ends = low, high

    def result(self) -> tuple[Tensor, Tensor]:
        """Low and high end of the range, 0-d float32.

        Raises:
            QuantizationError: Nothing was seen.
        """
        if self._ends is None:
            raise unseen(self.layer)
        return self._ends


class EmaObserver(RangeObserver):
    """Moving average of each batch's smallest and largest value.

    Args:
        layer: Name for error messages.

    Conventions:
        The first batch sets the range, and each later one moves it a tenth of the way
        to its own. The result depends on the batches, which are in the order of the
        range-setting data and of the size that ``range_setting`` fixes.

    Source:
        Jacob et al., CVPR 2018 (arXiv 1712.05877), section 3.1. No departure.
    """

    def update(self, x: Tensor) -> None:
        """Take in a layer's input, as :meth:`RangeObserver.update` does."""
        before, self._ends = self._ends, None
        super().update(x)
        if before is not None and self._ends is not None:
            low, high = (old + _MOMENTUM * (new - old) for old, new in zip(before, self._ends, strict=True))
            self._ends = low, high
        elif before is not None:
            self._ends = before


class ChannelObserver:
    """Largest magnitude per channel, the last axis.

    Args:
        layer: Name for error messages.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self._amax: Tensor | None = None

    def update(self, x: Tensor) -> None:
        """Take in a layer's input [..., C]."""
        amax = x.detach().float().abs().flatten(0, -2).amax(dim=0)
        require_finite(amax, self.layer)
        self._amax = amax if self._amax is None else torch.maximum(amax, self._amax)

    def result(self) -> Tensor:
        """[C] float32."""
        if self._amax is None:
            raise unseen(self.layer)
        return self._amax


def require_finite(values: Tensor, layer: str) -> None:
    """Raise a QuantizationError that names the layer unless every value is finite."""
    if not bool(torch.isfinite(values).all()):
        raise QuantizationError(
            where=f"layer {layer}",
            what="range setting met activations that are NaN or infinite",
            next="check the range-setting images and that the FP32 model runs without overflow",
        )


def unseen(layer: str) -> QuantizationError:
    """The error of a layer that range setting never reached."""
    return QuantizationError(
        where=f"layer {layer}",
        what="range setting showed this layer no data",
        next="pass range-setting data for its tower, or leave out a tower whose forward never runs it",
    )
