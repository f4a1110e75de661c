"""Observers that choose a range from the distribution of values, whatever the batches were."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reliability.quant.observers import RangeObserver
from reliability.quant.recipe import PERCENTILE

_KEPT_BITS = 18
_DROPPED_BITS = 32 - _KEPT_BITS
_BINS = 1 << _KEPT_BITS
_POINTS = 4  # a power of two
_SHRINKS = 90
_LINEAR_BINS = 2048
_CUTS = 256

Preview = Callable[[Tensor, Tensor, Tensor], Tensor]


class _LogHistogramObserver(RangeObserver):
    """Exact counts over a logarithmic histogram.

    A bin is all float32 numbers that share sign, exponent and the first 9 bits of
    the fraction, so counts do not depend on how values were batched.
    """

    def __init__(self, layer: str) -> None:
        super().__init__(layer)
        self._counts: Tensor | None = None

    def update(self, x: Tensor) -> None:
        """Take in a layer's input, as :meth:`RangeObserver.update` does."""
        super().update(x)
        pattern = x.detach().float().contiguous().view(torch.int32) >> _DROPPED_BITS
        counts = torch.bincount(pattern.flatten() + _BINS // 2, minlength=_BINS)
        self._counts = counts if self._counts is None else self._counts + counts

    def counts(self) -> Tensor:
        """[2, bins] of negative and positive values, from 0 outwards: a float is stored as sign and magnitude."""
        assert self._counts is not None
        return self._counts.view(2, -1)


class PercentileObserver(_LogHistogramObserver):
    """Percentiles of all values seen.

    Args:
        layer: Name for error messages.
        percentile: Upper one, in percent; the lower one is 100 minus it.

    Conventions:
        The upper end is the outer edge of the first bin of a logarithmic histogram
        beyond which at most the excess share lies, no more than 1/512 of its size
        above the exact order statistic and never outside what was seen; the lower
        end mirrors it.
    """

    def __init__(self, layer: str, percentile: float = PERCENTILE) -> None:
        super().__init__(layer)
        self._excess = 1 - percentile / 100

    def result(self) -> tuple[Tensor, Tensor]:
        """Low and high end of the range, 0-d float32."""
        low, high = super().result()
        negative, positive = self.counts()
        allowed = int(self._excess * int(self.counts().sum()))
        upper, lower = _edge(positive, allowed), -_edge(negative, allowed)
        return torch.clamp(lower, low, high), torch.clamp(upper, low, high)


class MseObserver(_LogHistogramObserver):
    """The part of the min/max range with the least squared quantization error.

    Args:
        layer: Name for error messages.
        preview: (values, low, high) to what the layer's quantizer makes of them.

    Conventions:
        Both ends shrink by 0 to 89 % in steps of 1 %; the widest of equally good
        ranges wins. The error is summed over a logarithmic histogram, each of whose
        bins stands for four values spread over it: at 8 bits a step is at least two
        bins wide.

    Source:
        Choukroun et al., Low-bit Quantization of Neural Networks for Efficient
        Inference, arXiv 1902.06822. Departure: a grid of shrinkages in place of a
        one-dimensional minimiser.
    """

    def __init__(self, layer: str, preview: Preview) -> None:
        super().__init__(layer)
        self._preview = preview

    def result(self) -> tuple[Tensor, Tensor]:
        """Low and high end of the range, 0-d float32."""
        low, high = super().result()
        values, weights = _spread(self.counts().cpu())
        ranges = [(low * share, high * share) for share in (1 - torch.arange(_SHRINKS) / 100).tolist()]
        errors = [self._error(values, weights, *(end.cpu() for end in ends)) for ends in ranges]
        return ranges[errors.index(min(errors))]

    def _error(self, values: Tensor, weights: Tensor, low: Tensor, high: Tensor) -> float:
        off = (values - self._preview(values, low, high)).double()
        return float((weights * off.square()).sum())


class EntropyObserver(RangeObserver):
    """The range whose quantized histogram of magnitudes diverges least from the original.

    Args:
        layer: Name for error messages.
        levels: Levels on one side of 0, 2^(bits - 1).

    Conventions:
        The histogram has 2,048 bins over the smallest [0, 2^k) that holds every
        magnitude, so counts do not depend on batches. 256 cuts are compared, evenly
        spaced from ``levels`` bins to the last bin in use; the widest of equally good
        ones wins. Both ends are clipped at one magnitude and never lie outside what was
        seen. Magnitudes alone count, which suits inputs that are symmetric about 0:
        after a GELU, whose negative side is short and dense, another observer does
        better.

    Source:
        Migacz, 8-bit Inference with TensorRT, GTC 2017. Departures: a power-of-two
        width of bins, and 256 cuts in place of one at every bin.
    """

    def __init__(self, layer: str, levels: int) -> None:
        super().__init__(layer)
        self._levels = levels
        self._exponent = -126
        self._counts = torch.zeros(_LINEAR_BINS, dtype=torch.int64)

    def update(self, x: Tensor) -> None:
        """Take in a layer's input, as :meth:`RangeObserver.update` does."""
        super().update(x)
        if x.numel() == 0:
            return
        magnitude = x.detach().double().abs().flatten()
        self._widen(int(torch.frexp(magnitude.max()).exponent))
        bins = (magnitude * (_LINEAR_BINS / 2.0**self._exponent)).to(torch.int64)
        self._counts += torch.bincount(bins, minlength=_LINEAR_BINS).cpu()

    def _widen(self, exponent: int) -> None:
        """Merge bins pair by pair until they reach 2^exponent."""
        for _ in range(min(exponent - self._exponent, _LINEAR_BINS.bit_length())):
            merged = self._counts.view(-1, 2).sum(dim=1)
            self._counts = torch.cat([merged, torch.zeros_like(merged)])
        self._exponent = max(exponent, self._exponent)

    def result(self) -> tuple[Tensor, Tensor]:
        """Low and high end of the range, 0-d float32."""
        low, high = super().result()
        used = int(self._counts.nonzero().max()) + 1
        cuts = torch.linspace(max(used, self._levels), min(self._levels, used), _CUTS).round().to(torch.int64)
        candidates = torch.unique(cuts).flip(0).tolist()
        divergences = [divergence(self._counts, cut, self._levels) for cut in candidates]
        limit = candidates[divergences.index(min(divergences))] * 2.0**self._exponent / _LINEAR_BINS
        return low.clamp(-limit, limit), high.clamp(-limit, limit)


def _spread(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Values that stand for the filled bins [2, bins] of a logarithmic histogram, and how often each occurs."""
    sign, magnitude = counts.nonzero(as_tuple=True)
    offsets = (2 * torch.arange(_POINTS) + 1) << (_DROPPED_BITS - _POINTS.bit_length())
    patterns = ((magnitude[:, None] << _DROPPED_BITS) + offsets).to(torch.int32)
    values = patterns.view(torch.float32) * (2 * sign[:, None] - 1)
    weights = (counts[sign, magnitude].double() / _POINTS)[:, None].expand_as(values)
    return values.flatten(), weights.flatten()


def _edge(counts: Tensor, allowed: int) -> Tensor:
    """Outer edge of the first bin, from the largest magnitude down, beyond which at most ``allowed`` values lie.

    It is 0 where all values of this sign may be left out: a range includes 0 anyway.
    """
    beyond = counts.flip(0).cumsum(0)
    if int(beyond[-1]) <= allowed:
        return torch.zeros((), device=counts.device)
    first = int(torch.searchsorted(beyond, allowed, right=True))
    pattern = (_BINS // 2 - first) << _DROPPED_BITS
    return torch.tensor(pattern, dtype=torch.int32, device=counts.device).view(torch.float32)


def divergence(counts: Tensor, cut: int, levels: int) -> float:
    """KL divergence of a histogram clipped to its first bins from the same merged into levels.

    The clipped one holds what lies beyond in its last bin; the merged one leaves it
    out and spreads each level evenly over the bins in use, so a cut at an empty bin
    diverges without bound.

    Args:
        counts: [bins] from 0 outwards.
        cut: Bins that are kept.
        levels: Groups of bins, as equal in number as they can be.
    """
    kept = counts[:cut].double()
    clipped = kept.clone()
    clipped[-1] += counts[cut:].sum()
    level = torch.arange(cut) * levels // cut
    used = (kept > 0).double()
    mass, bins = (torch.zeros(levels, dtype=torch.float64).index_add_(0, level, part) for part in (kept, used))
    merged = (mass / bins.clamp(min=1))[level] * used
    p, q = clipped / clipped.sum(), merged / kept.sum()
    return float(torch.where(p > 0, p * (p / q).log(), 0.0).sum())
