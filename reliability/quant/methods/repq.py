"""RepQ-ViT: let every channel after a LayerNorm fill the range that all of them share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.affine import Grid, unit_where_zero
from reliability.quant.methods.added_bias import add_bias
from reliability.quant.methods.norm_pairs import Pair, find_pairs, in_each_tower
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import require_finite, unseen
from reliability.quant.range_setting import observe
from reliability.quant.recipe import Recipe


def add_biases(model: nn.Module, recipe: Recipe) -> None:
    """Give every reader of a LayerNorm a bias, which takes up the shift.

    Raises:
        QuantizationError: A tower has no LayerNorm that is followed by Linears alone.
    """
    for pair in _pairs(model, recipe):
        for layer in _consumers(model, pair):
            add_bias(layer)


@torch.no_grad()
def reparametrize(bench: Workbench) -> None:
    """Fold per-channel scales and zero points into each LayerNorm and its readers, in place.

    Conventions:
        A channel's scale and zero point are those of its own smallest and largest
        value, without a detour to include 0. Afterwards all channels span the range of
        one grid, whose scale is the mean of theirs and whose zero point the mean,
        rounded to a code. The recipe then sets its range on the changed activations,
        which by min/max is that grid. A channel that never varies becomes 0.

    Source:
        Li et al., RepQ-ViT, ICCV 2023 (arXiv 2212.08254), scale reparameterization of
        LayerNorm activations. Departures: the common zero point is rounded, or 0 would
        lie off the grid; the projections after ``ln_post`` and ``ln_final`` take part;
        channel ranges are min/max, where the authors' code searches percentiles; the
        log-sqrt(2) quantizer of attention weights is left out, because they stay in
        float here.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    pairs = _pairs(bench.model, bench.recipe)
    firsts = [pair.consumers[0] for pair in pairs]
    observers = observe(bench.model, bench.recipe, bench.data, ChannelRangeObserver, firsts)
    grid = Grid(bench.recipe.activation_bits, symmetric=False)
    for pair in pairs:
        stretch, shift = channel_changes(*observers[pair.consumers[0]].result(), grid)
        _fold(pair.norm, _consumers(bench.model, pair), stretch, shift)
    bench.report(f"{bench.recipe.name}: {len(pairs)} LayerNorms reparametrized")


class ChannelRangeObserver:
    """Smallest and largest value per channel, the last axis.

    Args:
        layer: Name for error messages.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self._ends: tuple[Tensor, Tensor] | None = None

    def update(self, x: Tensor) -> None:
        """Take in a layer's input [..., C]."""
        rows = x.detach().float().flatten(0, -2)
        low, high = rows.amin(dim=0), rows.amax(dim=0)
        require_finite(low + high, self.layer)
        if self._ends is not None:
            low, high = torch.minimum(low, self._ends[0]), torch.maximum(high, self._ends[1])
        self._ends = low, high

    def result(self) -> tuple[Tensor, Tensor]:
        """[C] low and high ends, float32."""
        if self._ends is None:
            raise unseen(self.layer)
        return self._ends


def channel_changes(low: Tensor, high: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """What takes each channel's range to the common one: x becomes (x + shift) / stretch.

    Args:
        low, high: [C] ends of the channels.
        grid: Of the common quantizer.

    Returns:
        stretch [C], positive, and shift [C], float64.

    Example:
        >>> stretch, shift = channel_changes(torch.tensor([0.0, 10.0]), torch.tensor([15.0, 55.0]), Grid(4, False))
        >>> stretch.tolist(), shift.tolist()
        ([0.5, 1.5], [0.0, -10.0])
    """
    low, high = low.double(), high.double()
    scale = (high - low) / (grid.qmax - grid.qmin)
    alive = scale > 0
    common = unit_where_zero(scale[alive].mean() if bool(alive.any()) else scale.new_zeros(()))
    scale = torch.where(alive, scale, common)
    zero_point = grid.qmin - low / scale
    mean = zero_point[alive].mean() if bool(alive.any()) else zero_point.new_zeros(())
    common_zero = mean.round().clamp(grid.qmin, grid.qmax)
    shift = torch.where(alive, scale * (zero_point - common_zero), -low)
    return scale / common, shift


def _pairs(model: nn.Module, recipe: Recipe) -> list[Pair]:
    return in_each_tower(model, recipe, find_pairs, "RepQ", "minmax, percentile or dynamic")


def _consumers(model: nn.Module, pair: Pair) -> list[Any]:
    return [model.get_submodule(name) for name in pair.consumers]


def _fold(norm: nn.LayerNorm, layers: list[Any], stretch: Tensor, shift: Tensor) -> None:
    norm.bias.copy_((norm.bias.double() + shift) / stretch)
    norm.weight.copy_(norm.weight.double() / stretch)
    for layer in layers:
        weight = layer.weight.double()
        layer.bias.copy_(layer.bias.double() - weight @ shift)
        layer.weight.copy_(weight * stretch)
