"""AdaRound: learn for every weight whether it is rounded up or down."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

import torch
from torch import Tensor

from reliability.quant.affine import Limit
from reliability.quant.formats.values import Integers, Minifloat, Scales, Values
from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.layer_inputs import (
    moments,
    output_error,
    visit_layers,
    weight_columns,
    weight_from_columns,
)
from reliability.quant.methods.workbench import LayerBench

_STRETCH, _OFFSET = 1.2, -0.1
_MARGIN = 1e-4


@dataclass(frozen=True)
class AdaroundSettings:
    """How roundings are learned.

    Attributes:
        steps: Of Adam, per layer.
        rate: Of Adam.
        pressure: Weight of the term that drives roundings to up or down.
        first_exponent, last_exponent: Of that term, from flat to steep.
        free: Share of the steps, the first ones, without it.
    """

    steps: int = 1000
    rate: float = 1e-2
    pressure: float = 0.01
    first_exponent: float = 20.0
    last_exponent: float = 2.0
    free: float = 0.2

    def exponent(self, step: int) -> float | None:
        """Beta of a step, None while roundings are free."""
        share = (step / self.steps - self.free) / (1 - self.free)
        if share < 0:
            return None
        return self.last_exponent + (self.first_exponent - self.last_exponent) * (1 + cos(share * pi)) / 2


DEFAULTS = AdaroundSettings()


def apply(bench: LayerBench, settings: AdaroundSettings = DEFAULTS) -> None:
    """Learn the roundings of every layer, in the order in which layers run.

    Conventions:
        A weight goes to one of its two neighbours on the grid, whose scales are those of
        the float weight. Inputs are what the quantized layer sees: activations that were
        quantized, behind layers that were. Nothing is random: every step uses all inputs,
        through their second moment.

    Source:
        Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, ICML
        2020 (arXiv 2004.10568), equations 21 to 25. Departures: the full gradient in place
        of batches; the target is what the float weight makes of the same quantized
        inputs; activation functions are no part of the objective; an output channel for
        which rounding to nearest is better keeps it.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    errors: list[tuple[float, float]] = []

    def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
        weight = bench.float_model.get_parameter(f"{name}.weight")
        errors.append(round_layer(layer, weight, moments(layer, x).products, settings))

    visit_layers(bench, visit)
    share = sum(after / before for after, before in errors if before) / len(errors)
    bench.report(f"{bench.recipe.name}: {len(errors)} layers, output error {share:.2f} of rounding to nearest's")


@torch.no_grad()
def round_layer(
    layer: QuantLayer, weight: Tensor, second_moment: Tensor, settings: AdaroundSettings
) -> tuple[float, float]:
    """Give a layer the learned rounding of a float weight, with the scales that it has.

    Args:
        layer: Its present weight is taken for the rounding to nearest.
        weight: Of the layer's shape.
        second_moment: [groups, K, K] of the layer's inputs.
        settings: How roundings are learned.

    Returns:
        Mean squared error of the output, summed over channels: after, and of rounding to nearest.
    """
    lower, upper = (weight_columns(layer, side) for side in neighbours(layer, weight))
    wanted, nearest = weight_columns(layer, weight), weight_columns(layer, layer.weight)
    up = learn_roundings(wanted, lower, upper, second_moment.float(), settings)
    made = torch.where(up, upper, lower)
    before, after = (output_error(wanted.double() - some.double(), second_moment) for some in (nearest, made))
    better = after < before
    put_weight(layer, weight_from_columns(layer, torch.where(better[..., None], made, nearest)), scales_of(layer))
    return float(torch.where(better, after, before).sum()), float(before.sum())


def neighbours(layer: QuantLayer, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The largest values of a layer's grid that are no larger than a weight, and the next ones; both of its shape.

    Conventions:
        Beyond the grid's ends both are the end.
    """
    form, scales = layer.format, scales_of(layer)
    plain = form.sharing.split(weight) / scales.step
    gap, low, high = _grid_at(form.values, plain, scales)
    down = torch.floor(plain / gap) * gap
    sides = (down.clamp(low, high) * scales.step, (down + gap).clamp(low, high) * scales.step)
    return form.sharing.merge(sides[0], weight.shape), form.sharing.merge(sides[1], weight.shape)


@torch.enable_grad()
def learn_roundings(
    wanted: Tensor, lower: Tensor, upper: Tensor, second_moment: Tensor, settings: AdaroundSettings
) -> Tensor:
    """Whether each weight goes up, boolean [groups, rows, K].

    Args:
        wanted, lower, upper: Float weights and their neighbours, [groups, rows, K].
        second_moment: [groups, K, K].
        settings: Steps and rates.
    """
    gap = upper - lower
    share = torch.where(gap > 0, (wanted - lower) / gap, torch.zeros_like(gap)).clamp(_MARGIN, 1 - _MARGIN)
    logits = torch.logit((share - _OFFSET) / _STRETCH).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=settings.rate)
    for step in range(settings.steps):
        soft = rectified_sigmoid(logits)
        difference = lower + gap * soft - wanted
        # Its gradient is that of the quadratic form, for one product in place of three.
        loss = 2 * (difference * (difference.detach() @ second_moment)).sum()
        exponent = settings.exponent(step)
        if exponent is not None:
            loss = loss + settings.pressure * undecided(soft, exponent)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return rectified_sigmoid(logits.detach()) >= 0.5


def rectified_sigmoid(logits: Tensor) -> Tensor:
    """clip(1.2 sigmoid(V) - 0.1, 0, 1), which reaches both ends."""
    return (torch.sigmoid(logits) * _STRETCH + _OFFSET).clamp(0, 1)


def undecided(soft: Tensor, exponent: float) -> Tensor:
    """Sum of 1 - |2h - 1|^beta: 0 where every h is 0 or 1.

    Example:
        >>> float(undecided(torch.tensor([0.0, 1.0, 0.5, 0.75]), 2.0))
        1.75
    """
    return (1 - (2 * soft - 1).abs() ** exponent).sum()


def _grid_at(values: Values, plain: Tensor, scales: Scales) -> tuple[Limit, Limit, Limit]:
    """Spacing at weights in units of their scale, smallest and largest value there."""
    if isinstance(values, Minifloat):
        return values.spacing(plain), -values.largest, values.largest
    assert isinstance(values, Integers)
    zero = 0.0 if scales.zero_point is None else scales.zero_point
    return 1.0, values.grid.qmin - zero, values.grid.qmax - zero
