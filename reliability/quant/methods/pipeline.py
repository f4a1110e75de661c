"""The stages of a recipe, one after the other."""

from __future__ import annotations

import copy

from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.attention import insert_product_quantizers
from reliability.quant.layers import insert_quantizers
from reliability.quant.methods.registry import HEAD_METHODS, LAYER_METHODS, TRANSFORMS
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.range_setting import set_static_ranges
from reliability.quant.recipe import SCHEMES, Recipe
from reliability.quant.surgery import check_parity
from reliability.quant.tables import insert_table_grids

PARITY_PAIRS = 4
"""Range-setting pairs on which a rewritten model is held against the one it came from."""


def run(bench: Workbench) -> None:
    """Transform the float model, quantize its layers, set ranges, round or train, then refit the head.

    Raises:
        QuantizationError: A stage cannot be applied to the model, or a transform
            changed what the float model computes.

    Conventions:
        Ranges are set on the transformed float model's activations. Embedding tables are
        rounded last, so that a training moves them in float.
    """
    recipe, data = bench.recipe, bench.data
    few = data.first(min(PARITY_PAIRS, len(data.images)))
    for name in recipe.stages:
        _add_structure_of(name, bench.model, recipe)
        if name in TRANSFORMS:
            TRANSFORMS[name].apply(bench)
            check_parity(bench.reference, bench.model, few.images, few.tokens)
    float_model = copy.deepcopy(bench.model)
    layers = insert_quantizers(bench.model, recipe)
    products = insert_product_quantizers(bench.model, recipe)
    set_static_ranges(float_model, layers, recipe, data, products)
    finished = LayerBench(
        bench.model, bench.reference, recipe, data, bench.report, layers, float_model, checkpoint=bench.checkpoint
    )
    for name in [stage for stage in recipe.stages if stage in LAYER_METHODS] or ["rtn"]:
        LAYER_METHODS[name](finished)
    insert_table_grids(bench.model, recipe)
    for name in recipe.stages:
        if name in HEAD_METHODS:
            HEAD_METHODS[name](finished)


def add_structure(model: nn.Module, recipe: Recipe) -> None:
    """Put the modules in place that a recipe's transforms rely on, without data.

    Raises:
        QuantizationError: A stage has no registered method.
    """
    for name in recipe.stages:
        _add_structure_of(name, model, recipe)


def _add_structure_of(name: str, model: nn.Module, recipe: Recipe) -> None:
    _require_registered(name, recipe)
    transform = TRANSFORMS.get(name)
    if transform and transform.structure:
        transform.structure(model, recipe)


def _require_registered(name: str, recipe: Recipe) -> None:
    registered = {**TRANSFORMS, **LAYER_METHODS, **HEAD_METHODS}
    if name not in registered:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="no quantization method has this name",
            got=name,
            next=f"use one of {', '.join(word for word in SCHEMES if word in registered)}, "
            "or register the method in quant/methods/registry.py",
        )
