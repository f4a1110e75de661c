"""Show range-setting data to a float model and note what every layer takes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from reliability.quant.attention import explicit_products
from reliability.quant.histograms import EntropyObserver, MseObserver, PercentileObserver
from reliability.quant.layers import QuantLayer
from reliability.quant.observers import EmaObserver, RangeObserver
from reliability.quant.quantizers import RangeQuantizer
from reliability.quant.recipe import RangeSetting, Recipe
from reliability.quant.towers import RangeData, encode, up_to_end_of_text

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
        names: Layers, or other modules that take in one tensor; each is observed right before it runs.
        batch: Images or texts shown at once.

    Conventions:
        Text positions after the end of text are left out, because they cannot
        influence an embedding.
    """
    observers = {name: make(name) for name in names}
    feed = Feed(clip)
    with torch.no_grad(), ExitStack() as stack:
        for name, observer in observers.items():
            stack.callback(clip.get_submodule(name).register_forward_pre_hook(feed.hook(observer)).remove)
        if recipe.quantizes("vision"):
            for images in torch.split(data.images, batch):
                encode(clip, "vision", images)
        if recipe.quantizes("text"):
            for tokens in torch.split(data.tokens, batch):
                feed.keep = up_to_end_of_text(clip, tokens)
                encode(clip, "text", tokens)
    return observers


def set_static_ranges(
    float_clip: nn.Module,
    layers: Mapping[str, QuantLayer],
    recipe: Recipe,
    data: RangeData,
    products: Mapping[str, nn.Module] = MappingProxyType({}),
) -> None:
    """Give every static quantizer among the layers, and of attention's products, its range.

    Args:
        float_clip: The model as it was before its layers were quantized.
        layers: Name to quantized layer.
        recipe: Says how ranges are set.
        data: Range-setting pairs.
        products: Name to quantizer of a factor of attention's products.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    quantizers = {name: layer.activation for name, layer in layers.items()} | dict(products)
    static = {name: q for name, q in quantizers.items() if isinstance(q, RangeQuantizer)}
    if not static:
        return
    make = RANGE_OBSERVERS[recipe.range_setting]
    with explicit_products(float_clip, recipe.towers) if products else nullcontext():
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


class Feed:
    """Hands inputs to observers, without the text positions that do not count.

    Args:
        clip: The model that is run.

    Attributes:
        keep: Of the texts that are shown next, as ``up_to_end_of_text`` gives it; None for pictures.
    """

    def __init__(self, clip: nn.Module) -> None:
        transformer = getattr(getattr(clip, "text", clip), "transformer", None)
        self.batch_first = getattr(transformer, "batch_first", True)
        self.keep: Tensor | None = None

    def counting(self, x: Tensor) -> Tensor:
        """The part of a module's input that can influence an embedding."""
        # A pooled [B, D] input holds end-of-text positions only.
        if self.keep is None or x.ndim < 3:
            return x
        # Heads [B, H, L, d] of attention have tokens on the third axis, whatever the layers' order is.
        return x.transpose(1, 2)[self.keep if self.batch_first else self.keep.T] if x.ndim == 4 else x[self.keep]

    def hook(self, observer: Observer) -> Callable[[nn.Module, Any], None]:
        """A forward pre-hook that feeds an observer."""

        def feed(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del module
            observer.update(self.counting(inputs[0]))

        return feed
