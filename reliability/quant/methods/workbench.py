"""What quantization methods work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from reliability.quant.layers import QuantLayer
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData


@dataclass(frozen=True)
class Workbench:
    """The inputs of a method, and the model it changes in place.

    Attributes:
        model: Copy after surgery, in float until its layers are quantized.
        reference: The same model, to be left as it is.
        recipe: What to do.
        data: Exactly the recipe's range-setting pairs.
        report: Takes one line of progress.
        checkpoint: Where a training keeps its state, None to keep none.
    """

    model: nn.Module
    reference: nn.Module
    recipe: Recipe
    data: RangeData
    report: Callable[[str], None]
    checkpoint: Path | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class LayerBench(Workbench):
    """A workbench whose model has quantized layers.

    Attributes:
        layers: Name to layer of the model, its weight rounded to nearest and its range set.
        float_model: The model as it was before, transformed but in float; it holds the
            float layers under the same names.
    """

    layers: Mapping[str, QuantLayer]
    float_model: nn.Module
