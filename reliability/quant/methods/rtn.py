"""Round to nearest: the plain post-training quantization that the others build on."""

from __future__ import annotations

import copy

from reliability.quant.layers import insert_quantizers
from reliability.quant.methods.workbench import Workbench
from reliability.quant.range_setting import set_static_ranges


def apply(bench: Workbench) -> None:
    """Round the weights and set static ranges on the float model's activations."""
    float_model = copy.deepcopy(bench.model)
    layers = insert_quantizers(bench.model, bench.recipe)
    set_static_ranges(float_model, layers, bench.recipe, bench.data)
    bench.report(f"{bench.recipe.name}: {len(layers)} layers quantized")
