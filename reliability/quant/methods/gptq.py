"""GPTQ: round column by column, and let later columns make up for the error of earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reliability.quant.formats.values import Scales, Values
from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.layer_inputs import output_error, round_layers, weight_columns, weight_from_columns
from reliability.quant.methods.workbench import LayerBench


@dataclass(frozen=True)
class GptqSettings:
    """How columns are gone through.

    Attributes:
        act_order: Whether columns whose inputs are largest come first.
        damping: Added to the diagonal, as a share of its mean.
        block: Columns after which errors reach the columns beyond.
    """

    act_order: bool = True
    damping: float = 0.01
    block: int = 128


DEFAULTS = GptqSettings()


@dataclass(frozen=True)
class Columns:
    """A weight with what its rounding depends on, column by column.

    Attributes:
        weight: [groups, rows, K] float64.
        second_moment: [groups, K, K] float64.
        values: Of one element.
        scales: Fields [groups, rows, K].
    """

    weight: Tensor
    second_moment: Tensor
    values: Values
    scales: Scales

    def take(self, order: Tensor) -> Columns:
        """Columns in another order [groups, K], of each group its own."""

        def taken(field: Tensor) -> Tensor:
            return field.take_along_dim(order[:, None, :], -1)

        moment = taken(self.second_moment.take_along_dim(order[:, :, None], 1))
        return Columns(taken(self.weight), moment, self.values, _each(self.scales, taken))


def apply(bench: LayerBench, settings: GptqSettings = DEFAULTS) -> None:
    """Round the weights of every layer, in the order in which layers run.

    Conventions:
        Inputs are what the quantized layer sees: activations that were quantized, behind
        layers that were. All range-setting pairs are used at once, so memory grows with
        their number: one activation of the widest layer for all of them, a few times over.

    Source:
        Frantar et al., GPTQ, ICLR 2023 (arXiv 2210.17323), algorithm 1; order and dead
        columns from its authors' code. Departures: scales are those of the float weight
        throughout, for groups too, so that every format is served and columns may be
        reordered; the damping is a share of the mean over live columns; an output channel
        for which rounding to nearest is better keeps it.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    round_layers(bench, partial(round_layer, settings=settings))


@torch.no_grad()
def round_layer(
    layer: QuantLayer, weight: Tensor, second_moment: Tensor, settings: GptqSettings
) -> tuple[float, float]:
    """Give a layer the rounding of a float weight, with the scales that it has.

    Args:
        layer: Its present weight is taken for the rounding to nearest.
        weight: Of the layer's shape.
        second_moment: [groups, K, K] of the layer's inputs.
        settings: How columns are gone through.

    Returns:
        Mean squared error of the output, summed over channels: after, and of rounding to nearest.
    """
    scales = _column_scales(layer)
    dead = (second_moment.diagonal(dim1=-2, dim2=-1) == 0)[:, None, :]
    wanted = weight_columns(layer, weight).double().masked_fill(dead, 0)
    nearest = weight_columns(layer, layer.weight).double().masked_fill(dead, 0)
    rounded = round_columns(Columns(wanted, second_moment, layer.format.values, scales), settings)
    before, after = (output_error(wanted - made, second_moment) for made in (nearest, rounded))
    better = after < before
    put_weight(layer, weight_from_columns(layer, torch.where(better[..., None], rounded, nearest)), scales_of(layer))
    return float(torch.where(better, after, before).sum()), float(before.sum())


def round_columns(columns: Columns, settings: GptqSettings) -> Tensor:
    """Rounded weights [groups, rows, K], float64.

    Args:
        columns: Weights are 0 where an input always is.
        settings: How columns are gone through.
    """
    if settings.act_order:
        order = columns.second_moment.diagonal(dim1=-2, dim2=-1).argsort(dim=-1, descending=True, stable=True)
        rounded = _in_order(columns.take(order), settings)
        return rounded.take_along_dim(order.argsort(dim=-1)[:, None, :], -1)
    return _in_order(columns, settings)


def _in_order(columns: Columns, settings: GptqSettings) -> Tensor:
    factor = inverse_factor(damped(columns.second_moment, settings.damping))
    left, rounded = columns.weight.clone(), torch.empty_like(columns.weight)
    width = left.shape[-1]
    for start in range(0, width, settings.block):
        here, beyond = slice(start, min(start + settings.block, width)), slice(start + settings.block, width)
        scales = _each(columns.scales, lambda field, here=here: field[..., here])  # type: ignore[misc]
        rounded[..., here], errors = _round_block(left[..., here], factor[..., here, here], columns.values, scales)
        left[..., beyond] -= errors @ factor[..., here, beyond]
    return rounded


def _round_block(weight: Tensor, factor: Tensor, values: Values, scales: Scales) -> tuple[Tensor, Tensor]:
    """Rounded columns [groups, rows, k] of one block, and their errors in units of the factor's diagonal."""
    # Columns come first, so that each is contiguous.
    left, steps = _columns_first(weight), factor.permute(1, 2, 0)[..., None]
    scales = _each(scales, _columns_first)
    rounded, errors = torch.empty_like(left), torch.empty_like(left)
    for j, column in enumerate(left):
        rounded[j] = values.snap(column.float(), _each(scales, lambda field, j=j: field[j]))  # type: ignore[misc]
        errors[j] = (column - rounded[j]) / steps[j, j]
        left[j + 1 :] -= steps[j, j + 1 :] * errors[j]
    return rounded.permute(1, 2, 0), errors.permute(1, 2, 0)


def _columns_first(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1).contiguous()


def _each(scales: Scales, change: Callable[[Tensor], Tensor]) -> Scales:
    """The same change made to every field that a format has."""
    scale, zero_point, outer = (None if field is None else change(field) for field in scales)
    assert scale is not None
    return Scales(scale, zero_point, outer)


def damped(second_moment: Tensor, damping: float) -> Tensor:
    """H = 2 E[x x^T] + lambda I, with 1 in place of a diagonal 0.

    Args:
        second_moment: [groups, K, K].
        damping: Lambda as a share of the mean over the diagonal of live columns.
    """
    hessian = 2 * second_moment
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    live = (diagonal > 0).sum(dim=-1, keepdim=True).clamp(min=1)
    extra = damping * diagonal.sum(dim=-1, keepdim=True) / live
    return hessian + torch.diag_embed(torch.where(diagonal > 0, extra, extra + 1))


def inverse_factor(hessian: Tensor) -> Tensor:
    """Upper U with H^-1 = U^T U, [groups, K, K].

    Conventions:
        U is the inverse of the upper R with H = R R^T, the Cholesky factor of H read
        backwards. That is the same matrix as the factor of the inverse, at half the cost.
    """
    upper = torch.linalg.cholesky(hessian.flip(-2, -1)).flip(-2, -1)
    unit = torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device).expand_as(hessian)
    inverse: Tensor = torch.linalg.solve_triangular(upper, unit, upper=True)
    return inverse


def _column_scales(layer: QuantLayer) -> Scales:
    """The scale of every weight, fields [groups, rows, K]."""
    sharing, shape = layer.format.sharing, layer.weight.shape
    parts = sharing.split(layer.weight)

    def spread(field: Tensor) -> Tensor:
        return weight_columns(layer, sharing.merge(field.expand_as(parts), shape))

    return _each(scales_of(layer), spread)
