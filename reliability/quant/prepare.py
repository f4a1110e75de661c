"""Apply a recipe to a CLIP, or rebuild the structure of a prepared one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from torch import nn

from reliability.quant.attention import insert_product_quantizers
from reliability.quant.backends.convert import kernel_structure, to_kernels
from reliability.quant.coverage import coverage
from reliability.quant.finite import require_finite_weights
from reliability.quant.layers import insert_quantizers
from reliability.quant.methods.pipeline import PARITY_PAIRS, add_structure, run
from reliability.quant.methods.workbench import Workbench
from reliability.quant.recipe import Recipe
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.tables import insert_table_grids
from reliability.quant.towers import RangeData

__all__ = ["RangeData", "prepare", "skeleton"]


def prepare(
    clip: nn.Module,
    recipe: Recipe,
    data: RangeData,
    progress: Callable[[str], None] | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """Quantize a copy of a CLIP.

    Args:
        clip: FP32 model with ``visual``, ``encode_image``, ``encode_text`` and
            ``logit_scale``; it is left as it is.
        recipe: What to do; ``fp32`` gives a plain copy.
        data: At least ``recipe.range_images`` pairs, of which the first are used.
        progress: Takes one line at a time.
        checkpoint: A file where a training keeps its state now and then, and from which
            it goes on if the file exists; gone once training is done.

    Returns:
        A model in eval mode that embeds as the given one does, in simulated low
        precision: float32 arithmetic on values of the recipe's grids. A recipe that
        :attr:`~Recipe.ends_in_float` gives a float model, and the proof asked of it is
        that nothing in it is quantized. A recipe with a backend is simulated first, and
        the simulation's codes and scales are given to its kernels.

    Raises:
        QuantizationError: The model has a structure that the recipe cannot
            quantize completely, weights or activations are not finite, the data
            are too few, or training diverged.
    """
    if recipe.backend:
        return to_kernels(prepare(clip, recipe.simulated, data, progress, checkpoint), recipe, data)
    reference = copy.deepcopy(clip).eval()
    if recipe.is_float:
        return reference
    require_finite_weights(clip)
    data = data.first(recipe.range_images).to(next(clip.parameters()).device)
    explicit = split_attention(copy.deepcopy(reference), recipe.towers).requires_grad_(False)
    few = data.first(min(PARITY_PAIRS, recipe.range_images))
    check_parity(reference, explicit, few.images, few.tokens)
    del reference  # a copy less in memory while methods run
    model = copy.deepcopy(explicit)
    run(Workbench(model, explicit, recipe, data, progress or _silent, checkpoint=checkpoint))
    proof = coverage(model, few.images[:1], few.tokens[:1], recipe.towers, recipe)
    (proof.require_float if recipe.ends_in_float else proof.require_complete)(f"recipe {recipe.name}")
    return model.requires_grad_(False).eval()


def skeleton(clip: nn.Module, recipe: Recipe) -> nn.Module:
    """The structure that :func:`prepare` gives, without data.

    Loading a prepared model's ``state_dict`` into it restores that model bit for
    bit. Until then static quantizers have no range and give NaN.

    Args:
        clip: The model the recipe was applied to, or one of the same architecture.
        recipe: The same recipe.
    """
    if recipe.backend:
        return kernel_structure(skeleton(clip, recipe.simulated), recipe)
    model = copy.deepcopy(clip).eval()
    if recipe.is_float:
        return model
    split_attention(model, recipe.towers)
    add_structure(model, recipe)
    if not recipe.ends_in_float:
        insert_quantizers(model, recipe)
        insert_product_quantizers(model, recipe)
        insert_table_grids(model, recipe)
    return model.requires_grad_(False)


def _silent(line: str) -> None:
    del line
