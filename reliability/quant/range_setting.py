"""Show range-setting data to a float model and note what every layer takes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from reliability.quant.layers import QuantLayer
from reliability.quant.observers import RANGE_OBSERVERS
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData, encode, gemm_layers, up_to_end_of_text

_BATCH = 32


class Observer(Protocol):
    """Takes in activations batch by batch."""

    def update(self, x: Tensor) -> None:
        """Take in one layer's input."""
        ...


SomeObserver = TypeVar("SomeObserver", bound=Observer)


def observe(
    clip: nn.Module, recipe: Recipe, data: RangeData, make: Callable[[str], SomeObserver], names: Collection[str]
) -> dict[str, SomeObserver]:
    """Run the recipe's towers over the data with an observer on each layer's input.

    Args:
        clip: Float model after surgery, eval mode.
        recipe: Its towers are run.
        data: All of it is shown, in order.
        make: Layer name to a fresh observer.
        names: Layers to observe.

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
            for images in torch.split(data.images, _BATCH):
                encode(clip, "vision", images)
        if recipe.quantizes("text"):
            for tokens in torch.split(data.tokens, _BATCH):
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
    static = {name: q for name, layer in layers.items() if isinstance(q := layer.activation, StaticQuantizer)}
    if not static:
        return
    observers = observe(float_clip, recipe, data, RANGE_OBSERVERS[recipe.range_setting], static)
    for name, quantizer in static.items():
        quantizer.set_range(*observers[name].result())


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
