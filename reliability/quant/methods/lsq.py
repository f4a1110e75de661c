"""Quantization-aware training with learned activation steps."""

from __future__ import annotations

from reliability.quant.layers import insert_quantizers
from reliability.quant.methods.workbench import Workbench
from reliability.quant.qat.distill import distill
from reliability.quant.qat.trainable import bake, make_trainable
from reliability.quant.range_setting import set_static_ranges


def apply(bench: Workbench) -> None:
    """Start from min/max ranges and float weights, train, then put the weights on their grid.

    Raises:
        QuantizationError: Training diverged.
    """
    layers = insert_quantizers(bench.model, bench.recipe)
    set_static_ranges(bench.reference, layers, bench.recipe, bench.data)
    steps = make_trainable(layers, bench.reference)
    distill(bench, steps)
    bake(layers, steps)
