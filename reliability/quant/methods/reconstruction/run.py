"""Reconstruct a model unit by unit."""

from __future__ import annotations

from dataclasses import replace

import torch

from reliability.quant.methods.caption_loss import CaptionLoss
from reliability.quant.methods.reconstruction.examples import Example, examples, squared_gradients
from reliability.quant.methods.reconstruction.learning import ReconstructionSettings, reconstruct
from reliability.quant.methods.reconstruction.units import Unit, units_in_order
from reliability.quant.methods.workbench import LayerBench


def reconstruct_units(bench: LayerBench, settings: ReconstructionSettings) -> None:
    """Let every unit of a model learn, in the order in which units run.

    Conventions:
        A unit takes in what the finished units before it give, and its target is what it
        gives in the float model. All range-setting pairs take part, in batches of
        consecutive ones, drawn with replacement. Text positions after the end of text
        are left out. Draws depend on the recipe's seed and the unit's number alone.

    Raises:
        QuantizationError: A unit does not run, gives no tensor, or values that are not finite.
    """
    loss = CaptionLoss(bench, settings.batch) if settings.fisher else None
    units = units_in_order(bench.model, bench.recipe, bench.data, bench.layers)
    shares = []
    for number, unit in enumerate(units):
        found = _examples(bench, unit, settings, loss)
        layers = {layer: bench.layers[unit.full_name(layer)] for layer in unit.layers}
        weights = {
            layer: bench.float_model.get_parameter(f"{unit.full_name(layer)}.weight").detach() for layer in unit.layers
        }
        generator = torch.Generator().manual_seed(bench.recipe.seed * len(units) + number)
        module = bench.model.get_submodule(unit.name)
        after, before = reconstruct(module, layers, weights, found, settings, generator)
        shares.append(after / before if before else 1.0)
        bench.report(f"{bench.recipe.name}: {unit.name}, output error {shares[-1]:.2f} of rounding to nearest's")
    mean = sum(shares) / len(shares)
    bench.report(f"{bench.recipe.name}: {len(units)} units, output error {mean:.2f} of rounding to nearest's")


def _examples(
    bench: LayerBench, unit: Unit, settings: ReconstructionSettings, loss: CaptionLoss | None
) -> list[Example]:
    found = examples(bench, unit, settings.batch)
    if loss is None:
        return found
    weights = squared_gradients(bench, unit, loss)
    return [replace(example, weights=weights) for example in found]
