"""A static scale for every input channel, folded into the weights that read it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.affine import unit_where_zero
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import ChannelObserver
from reliability.quant.range_setting import observe
from reliability.quant.recipe import Recipe
from reliability.quant.towers import gemm_layers, replace_module


class ChannelScaled(nn.Module):
    """A layer whose input channels are divided by scales that its weight was multiplied by.

    Kernels do the division together with the rounding, which takes a scale per channel
    at no cost, because activations are rounded one by one.

    Args:
        layer: What takes in the divided channels.

    Attributes:
        divisor: [C] float32, saved with a model.
    """

    divisor: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        channels = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
        self.register_buffer("divisor", torch.ones(channels, device=layer.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        divisor = self.divisor[:, None, None] if isinstance(self.layer, nn.Conv2d) else self.divisor
        return self.layer(x / divisor)  # type: ignore[no-any-return]

    @property
    def weight(self) -> Tensor:
        """The layer's, whose dtype and device open_clip asks for."""
        return self.layer.weight

    @torch.no_grad()
    def fold(self, divisor: Tensor) -> None:
        """Divide input channels, and multiply the weight's by the same."""
        self.divisor.copy_(divisor)
        weight, groups = self.layer.weight, getattr(self.layer, "groups", 1)
        apart = weight.view(groups, -1, weight.shape[1], *weight.shape[2:])
        apart.mul_(self.divisor.view(groups, 1, -1, *(1 for _ in weight.shape[2:])))


def add_divisors(model: nn.Module, recipe: Recipe) -> None:
    """Put a divisor of ones before every layer of the recipe's towers."""
    for name, layer in gemm_layers(model, recipe.towers).items():
        if not recipe.leaves_float(name):
            replace_module(model, name, ChannelScaled(layer))


def fold_channels(bench: Workbench) -> None:
    """Divide every channel by its largest magnitude on the range-setting pairs, in place.

    Conventions:
        All channels of a layer's input then lie in [-1, 1] and share one range, which the
        recipe sets as ever. A channel that is always 0 stays as it is. A product sums over
        input channels, so their scales cannot be taken out of an integer sum: they become
        part of the weight, which is rounded with them. That is SmoothQuant with a strength
        of 1 for every layer, whether or not a LayerNorm comes before it.

    Source:
        Krishnamoorthi, arXiv 1806.08342, section 3.1.1, names per-channel scales of
        activations and leaves them out because they stand inside the sum; Xiao et al.,
        SmoothQuant (arXiv 2211.10438), equation 3, moves them into the weight. Departure
        from the latter: the division stays in front of the layer, so that none is left out.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    scaled = {f"{name}.layer": m for name, m in bench.model.named_modules() if isinstance(m, ChannelScaled)}
    observers = observe(bench.model, bench.recipe, bench.data, lambda name: _observer(name, scaled[name]), scaled)
    for name, module in scaled.items():
        module.fold(unit_where_zero(observers[name].result()))
    bench.report(f"{bench.recipe.name}: {len(scaled)} layers with a scale per input channel")


class _ImageChannels(ChannelObserver):
    """The same for images [N, C, H, W]."""

    def update(self, x: Tensor) -> None:
        super().update(x.movedim(1, -1))


def _observer(name: str, scaled: ChannelScaled) -> ChannelObserver:
    return _ImageChannels(name) if isinstance(scaled.layer, nn.Conv2d) else ChannelObserver(name)
