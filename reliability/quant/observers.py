"""Observers: what a quantizer's range is set from, pooled over any number of batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reliability.errors import QuantizationError
from reliability.quant.recipe import PERCENTILE, RangeSetting

_KEPT_BITS = 18
_BINS = 1 << _KEPT_BITS


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


class PercentileObserver(RangeObserver):
    """Percentiles of all values seen, from exact counts over a logarithmic histogram.

    Args:
        layer: Name for error messages.
        percentile: Upper one, in percent; the lower one is 100 minus it.

    Conventions:
        A bin is all float32 numbers that share sign, exponent and the first 9 bits
        of the fraction, so counts do not depend on how values were batched. The
        upper end is the outer edge of the first bin beyond which at most the
        excess share lies, no more than 1/512 of its size above the exact order
        statistic and never outside what was seen; the lower end mirrors it.
    """

    def __init__(self, layer: str, percentile: float = PERCENTILE) -> None:
        super().__init__(layer)
        self._excess = 1 - percentile / 100
        self._counts: Tensor | None = None

    def update(self, x: Tensor) -> None:
        """Take in a layer's input, as :meth:`RangeObserver.update` does."""
        super().update(x)
        pattern = x.detach().float().contiguous().view(torch.int32) >> (32 - _KEPT_BITS)
        counts = torch.bincount(pattern.flatten() + _BINS // 2, minlength=_BINS)
        self._counts = counts if self._counts is None else self._counts + counts

    def result(self) -> tuple[Tensor, Tensor]:
        """Low and high end of the range, 0-d float32."""
        low, high = super().result()
        assert self._counts is not None
        # Bins ascend in magnitude on either side: a float is stored as sign and magnitude.
        negative, positive = self._counts[: _BINS // 2], self._counts[_BINS // 2 :]
        allowed = int(self._excess * int(self._counts.sum()))
        upper, lower = _edge(positive, allowed), -_edge(negative, allowed)
        return torch.clamp(lower, low, high), torch.clamp(upper, low, high)


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


RANGE_OBSERVERS: dict[RangeSetting, Callable[[str], RangeObserver]] = {
    "minmax": RangeObserver,
    "percentile": PercentileObserver,
}
"""Range setting to the observer that does it."""


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


def _edge(counts: Tensor, allowed: int) -> Tensor:
    """Outer edge of the first bin, from the largest magnitude down, beyond which at most ``allowed`` values lie.

    It is 0 where all values of this sign may be left out: a range includes 0 anyway.
    """
    beyond = counts.flip(0).cumsum(0)
    if int(beyond[-1]) <= allowed:
        return torch.zeros((), device=counts.device)
    first = int(torch.searchsorted(beyond, allowed, right=True))
    pattern = (_BINS // 2 - first) << (32 - _KEPT_BITS)
    return torch.tensor(pattern, dtype=torch.int32, device=counts.device).view(torch.float32)
