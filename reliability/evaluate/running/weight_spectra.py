"""Which singular directions of a layer's weight a recipe disturbs."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from reliability.errors import QuantizationError
from reliability.evaluate.storage.cache import Arrays
from reliability.metrics.representation import noise_by_direction
from reliability.quant.surgery import split_attention
from reliability.quant.towers import gemm_layers
from reliability.types import F64

if TYPE_CHECKING:
    from torch import Tensor

    from reliability.evaluate.running.candidates import Candidates
    from reliability.models.spec import ModelSpec
    from reliability.quant.recipe import Recipe


def weight_spectra(candidates: Candidates, model: ModelSpec, recipe: Recipe) -> Arrays:
    """Energy and noise by singular direction of every Linear and Conv2d of the vision tower.

    Args:
        candidates: Prepares the candidate.
        model: The reference.
        recipe: One that keeps the basis of the weights: none that rotates them.

    Returns:
        For each layer ``NAME/signal`` and ``NAME/noise`` [R], energies of the reference's weight and of
        the candidate's difference from it along the reference's right singular vectors, and
        ``NAME/values`` [R'], the candidate's own singular values squared, in the same unit.

    Raises:
        QuantizationError: The candidate's layers are others than the reference's, or of other shapes.

    Conventions:
        Weights are matrices of outputs by inputs; those of convolutions are flattened to that.
    """
    explicit = split_attention(copy.deepcopy(candidates.reference(model).clip), "vision")
    network = candidates.network(model, recipe)
    theirs = gemm_layers(network, "vision")
    found: Arrays = {}
    for name, layer in gemm_layers(explicit, "vision").items():
        if name not in theirs or theirs[name].weight.shape != layer.weight.shape:
            raise QuantizationError(
                where=f"recipe {recipe.name}, layer {name}", what="the candidate's weights lie in another basis",
                got="no such layer" if name not in theirs else tuple(theirs[name].weight.shape),
                next="compare spectra of recipes that rewrite no layer",
            )  # fmt: skip
        before, after = _matrix(layer.weight), _matrix(theirs[name].weight)
        signal, noise = noise_by_direction(before, after)
        # Signal comes in a unit of its own; its sum is the energy of the weight.
        unit = signal.sum() / (before**2).sum()
        values = np.linalg.svd(after, compute_uv=False) ** 2 * unit
        found |= {f"{name}/signal": signal, f"{name}/noise": noise, f"{name}/values": values}
    return found


def _matrix(weight: Tensor) -> F64:
    matrix: F64 = weight.detach().cpu().double().flatten(1).numpy()
    return matrix
