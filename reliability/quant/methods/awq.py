"""AWQ: scale up the weights that meet large activations, then clip, both by the error of the layer's output."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import torch
from torch import Tensor, nn

from reliability.quant.formats import WeightFormat, weight_format
from reliability.quant.formats.sharing import to_blocks
from reliability.quant.formats.values import Scales
from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.folds import apply_scale, find_folds
from reliability.quant.methods.layer_inputs import Moments, moments, output_error, visit_layers, weight_columns
from reliability.quant.methods.norm_pairs import in_each_tower
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.range_setting import observe

EXPONENTS = tuple(step / 20 for step in range(20))
"""Powers of the mean activation that are tried; 0 leaves the weights as they are."""

CLIPS = tuple(1 - step / 20 for step in range(11))
"""Shares of the largest weight at which weights are clipped; 1 leaves them whole."""

_UNCLIPPED = ("q_proj", "k_proj")


def scale(bench: Workbench) -> None:
    """Fold searched scales into each LayerNorm, each layer of values, and what reads them, in place.

    Conventions:
        Folds are SmoothQuant's pairs, and attention's values with its output layer. A
        scale is E[|x|]^a over channels, divided by the root of its largest times its
        smallest; channels without activations keep 1. The exponent a of a fold is the one
        of least squared error, summed over its readers' outputs on float inputs; 0 is
        among them, so no fold is worse than none.

    Source:
        Lin et al., AWQ, MLSys 2024 (arXiv 2306.00978), section 3.2. Departures: errors of
        layers' outputs, from second moments, where its authors' code runs whole blocks;
        no fold through the MLP's activation function, which would change the function.

    Raises:
        QuantizationError: A tower has no fold.
    """
    folds = in_each_tower(bench.model, bench.recipe, find_folds, "AWQ", "rtn, hqq or gptq")
    firsts = [fold.readers[0] for fold in folds]
    layers: Mapping[str, nn.Linear] = {name: bench.model.get_submodule(name) for name in firsts}  # type: ignore[misc]
    seen = observe(bench.model, bench.recipe, bench.data, lambda name: Moments(layers[name]), firsts)
    chosen = []
    for fold, first in zip(folds, firsts, strict=True):
        weights = [bench.model.get_parameter(f"{name}.weight") for name in fold.readers]
        exponent, scales = search_scale(weights, seen[first], weight_format(bench.recipe))
        apply_scale(fold.source, weights, scales)
        chosen.append(exponent)
    bench.report(f"{bench.recipe.name}: {len(folds)} folds scaled, mean exponent {sum(chosen) / len(chosen):.2f}")


@torch.no_grad()
def search_scale(weights: list[nn.Parameter], seen: Moments, form: WeightFormat) -> tuple[float, Tensor]:
    """The exponent of least output error, and its scale per input channel [K], float32.

    Args:
        weights: [out, K] of each reader.
        seen: Moments of their common input.
        form: Of the quantized weights.
    """
    least, best = inf, (0.0, torch.ones_like(weights[0][0]))
    for exponent in EXPONENTS:
        scales = activation_scale(seen.magnitude[0], exponent)
        error = sum(float(_scaled_error(weight, scales, seen.products[0], form)) for weight in weights)
        if error < least:
            least, best = error, (exponent, scales)
    return best


def activation_scale(magnitude: Tensor, exponent: float) -> Tensor:
    """E[|x|]^a per channel, divided by the root of its largest times its smallest, float32.

    Example:
        >>> activation_scale(torch.tensor([1.0, 4.0, 0.0, 16.0]), 0.5).tolist()
        [0.5, 1.0, 1.0, 2.0]
    """
    live = magnitude > 0
    if not bool(live.any()):
        return torch.ones_like(magnitude, dtype=torch.float32)
    powers = magnitude.double() ** exponent
    powers = powers / (powers[live].max() * powers[live].min()).sqrt()
    return torch.where(live, powers, 1.0).float()


def _scaled_error(weight: Tensor, scales: Tensor, products: Tensor, form: WeightFormat) -> Tensor:
    scaled = weight * scales
    made = form.snap(scaled, form.scales(scaled)).double() / scales.double()
    return output_error(weight.double() - made, products).sum()


def clip(bench: LayerBench) -> None:
    """Choose for each scale of every layer how far the largest weights are clipped, in the order in which layers run.

    Conventions:
        A group's error is that of its own part of the output. Queries and keys are not
        clipped, because their product squares what clipping does.

    Source:
        Lin et al., as above; the search is in its authors' code. Departure: inputs come
        through the quantized layers before.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """

    def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
        if not name.endswith(_UNCLIPPED):
            weight = bench.float_model.get_parameter(f"{name}.weight").detach()
            put_weight(layer, weight, search_clip(layer, weight, moments(layer, x).products))

    visit_layers(bench, visit)
    bench.report(f"{bench.recipe.name}: {len(bench.layers)} layers quantized")


@torch.no_grad()
def search_clip(layer: QuantLayer, weight: Tensor, products: Tensor) -> Scales:
    """Scales of the clipped weight of least output error, each chosen by itself.

    Args:
        layer: Its format says which weights share a scale.
        weight: Of the layer's shape.
        products: [groups, K, K] second moment of its inputs.
    """
    form, best = layer.format, scales_of(layer)
    least = torch.full_like(best.scale, inf, dtype=torch.float64)
    for share in CLIPS:
        scales = form.scales(_clipped(form, weight, share))
        error = _error_per_scale(layer, weight - form.snap(weight, scales), products, scales.scale)
        better = error < least
        best = Scales(*(_where(better, new, old) for new, old in zip(scales, best, strict=True)))  # type: ignore[arg-type]
        least = torch.minimum(error, least)
    return best


def _where(condition: Tensor, yes: Tensor | None, no: Tensor | None) -> Tensor | None:
    return None if yes is None or no is None else torch.where(condition, yes, no)


def _clipped(form: WeightFormat, weight: Tensor, share: float) -> Tensor:
    """Weights at most a share of the largest one that has the same scale."""
    parts = form.sharing.split(weight)
    limit = share * parts.abs().amax(form.sharing.dims(parts), keepdim=True)
    return form.sharing.merge(torch.minimum(torch.maximum(parts, -limit), limit), weight.shape)


def _error_per_scale(layer: QuantLayer, difference: Tensor, products: Tensor, like: Tensor) -> Tensor:
    """Output error due to the weights of each scale, of the shape of the scales."""
    unit = layer.format.sharing.unit
    rows = weight_columns(layer, difference).double()
    if isinstance(unit, int):
        blocks = to_blocks(rows, unit)
        return torch.einsum("grnk,gnkl,grnl->grn", blocks, diagonal_blocks(products, unit), blocks).reshape(like.shape)
    errors = output_error(rows, products).flatten()
    return (errors if unit == "channel" else errors.sum()).reshape(like.shape)


def diagonal_blocks(products: Tensor, size: int) -> Tensor:
    """[groups, K, K] to the blocks on its diagonal [groups, ceil(K / size), size, size], filled up with zeros."""
    both = to_blocks(to_blocks(products, size).movedim(1, -1), size)
    return both.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
