"""Show range-setting data to a float model and note what every layer takes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from reliability.quant.histograms import EntropyObserver, MseObserver, PercentileObserver
from reliability.quant.layers import QuantLayer
from reliability.quant.observers import EmaObserver, RangeObserver
from reliability.quant.quantizers import RangeQuantizer
from reliability.quant.recipe import RangeSetting, Recipe
from reliability.quant.towers import RangeData, encode, gemm_layers, up_to_end_of_text

_BATCH = 32
"""Images or texts shown at once; moving averages depend on it, other ranges do not."""


class Observer(Protocol):
    """Takes in activations batch by batch."""

    def update(self, x: Tensor) -> None:
        """Take in one layer's input."""
        ...


@dataclass(frozen=True)
class Site:
    """What a range is set for: a layer's name, its recipe and its quantizer."""

    layer: str
    recipe: Recipe
    quantizer: RangeQuantizer


SomeObserver = TypeVar("SomeObserver", bound=Observer)


def observe(
    clip: nn.Module,
    recipe: Recipe,
    data: RangeData,
    make: Callable[[str], SomeObserver],
    names: Collection[str],
    batch: int = _BATCH,
) -> dict[str, SomeObserver]:
    """Run the recipe's towers over the data with an observer on each layer's input.

    Args:
        clip: Model after surgery, eval mode.
        recipe: Its towers are run.
        data: All of it is shown, in order.
        make: Layer name to a fresh observer.
        names: Layers to observe; each is observed right before it runs.
        batch: Images or texts shown at once.

    Conventions:
        Text positions after the end of text are left out, because they cannot
        influence an embedding.
    """
    layers = gemm_layers(clip, recipe.towers)
    observers = {name: make(name) for name in names}
    feed = _Feed()
    with torch.no_grad(), ExitStack() as stack:
        for name, observer in observers.items():
            stack.callback(layers[name].register_forward_pre_hook(feed.hook(observer)).remove)
        if recipe.quantizes("vision"):
            for images in torch.split(data.images, batch):
                encode(clip, "vision", images)
        if recipe.quantizes("text"):
            for tokens in torch.split(data.tokens, batch):
                feed.keep = up_to_end_of_text(clip, tokens)
                encode(clip, "text", tokens)
    return observers


def set_static_ranges(float_clip: nn.Module, layers: Mapping[str, QuantLayer], recipe: Recipe, data: RangeData) -> None:
    """Give every static quantizer among the layers its range.

    Args:
        float_clip: The model as it was before its layers were quantized.
        layers: Name to quantized layer.
        recipe: Says how ranges are set.
        data: Range-setting pairs.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    static = {name: q for name, layer in layers.items() if isinstance(q := layer.activation, RangeQuantizer)}
    if not static:
        return
    make = RANGE_OBSERVERS[recipe.range_setting]
    observers = observe(float_clip, recipe, data, lambda name: make(Site(name, recipe, static[name])), static)
    for name, quantizer in static.items():
        quantizer.set_range(*observers[name].result())


RANGE_OBSERVERS: dict[RangeSetting, Callable[[Site], RangeObserver]] = {
    "minmax": lambda site: RangeObserver(site.layer),
    "ema": lambda site: EmaObserver(site.layer),
    "percentile": lambda site: PercentileObserver(site.layer, site.recipe.percentile),
    "mse": lambda site: MseObserver(site.layer, site.quantizer.preview),
    "entropy": lambda site: EntropyObserver(site.layer, 1 << (site.recipe.activation_bits - 1)),
}
"""Range setting to the observer that does it."""


class _Feed:
    """Hands inputs to observers, without the text positions that do not count."""

    def __init__(self) -> None:
        self.keep: Tensor | None = None

    def hook(self, observer: Observer) -> Callable[[nn.Module, Any], None]:
        def feed(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del module
            x = inputs[0]
            # A pooled [B, D] input holds end-of-text positions only.
            observer.update(x if self.keep is None or x.ndim < 3 else x[self.keep])

        return feed
