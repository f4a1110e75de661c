"""AdaRound: learn for every weight whether it is rounded up or down."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.layer_inputs import output_error, round_layers, weight_columns, weight_from_columns
from reliability.quant.methods.soft_rounding import Pressure, SoftRounding, neighbours, undecided
from reliability.quant.methods.workbench import LayerBench


@dataclass(frozen=True)
class AdaroundSettings:
    """How roundings are learned.

    Attributes:
        steps: Of Adam, per layer.
        rate: Of Adam.
        pressure: What drives roundings to up or down.
    """

    steps: int = 1000
    rate: float = 1e-2
    pressure: Pressure = field(default_factory=Pressure)


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
    round_layers(bench, partial(round_layer, settings=settings))


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
    rounding = SoftRounding(wanted, lower, upper)
    optimizer = torch.optim.Adam([rounding.logits], lr=settings.rate)
    for step in range(settings.steps):
        soft = rounding.share()
        difference = rounding.weight(soft) - wanted
        # Its gradient is that of the quadratic form, for one product in place of three.
        loss = 2 * (difference * (difference.detach() @ second_moment)).sum()
        exponent = settings.pressure.exponent(step, settings.steps)
        if exponent is not None:
            loss = loss + settings.pressure.weight * undecided(soft, exponent)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return rounding.up()
