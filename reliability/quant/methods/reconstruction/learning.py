"""A unit learns the roundings of all its layers, and activation steps where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.reconstruction.dropping import Dropping, mixed
from reliability.quant.methods.reconstruction.examples import Example
from reliability.quant.methods.soft_rounding import Pressure, SoftRounding, neighbours, undecided
from reliability.quant.quantizers import StaticQuantizer


@dataclass(frozen=True)
class ReconstructionSettings:
    """How a unit learns.

    Attributes:
        steps: Of Adam, per unit; each takes one batch.
        batch: Pairs in it.
        rate: Of Adam, for the roundings' logits.
        pressure: What drives roundings to up or down. Its weight is against an error of 1
            for rounding to nearest, and for the mean over weights.
        fisher: Whether squared errors are weighted by squared gradients of the caption loss.
        drop: Share of activations that stay in float while a unit learns.
        step_rate: Of Adam, for activation steps, as a share of the initial step; 0 keeps them.
    """

    steps: int
    batch: int = 16
    rate: float = 0.1
    pressure: Pressure = field(default_factory=partial(Pressure, weight=30.0))
    fisher: bool = False
    drop: float = 0.0
    step_rate: float = 0.0


def reconstruct(
    unit: nn.Module,
    layers: Mapping[str, QuantLayer],
    weights: Mapping[str, Tensor],
    found: Sequence[Example],
    settings: ReconstructionSettings,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Learn the roundings of a unit's layers by the error of its output.

    Args:
        unit: Of the quantized model, its layers on their nearest values.
        layers: Name within the unit to layer.
        weights: Name within the unit to float weight.
        found: Batches at the unit.
        settings: How it learns.
        generator: Draws the order of batches, and what is dropped.

    Returns:
        Summed weighted squared error over all batches: after, and before. Where learning
        did not lower it, the unit is left as it was.
    """
    before = sum(float(example.error(example.before)) for example in found)
    if before == 0:
        return 0.0, 0.0
    state = {key: value.clone() for key, value in unit.state_dict().items()}
    with ExitStack() as stack:
        learners = _prepare_activations(layers, settings, generator, stack) if settings.drop else []
        roundings = {
            name: SoftRounding(weights[name], *neighbours(layer, weights[name])) for name, layer in layers.items()
        }
        _learn(unit, roundings, learners, found, before / len(found), settings, generator)
    for name, layer in layers.items():
        put_weight(layer, roundings[name].rounded(), scales_of(layer))
    with torch.no_grad():
        after = sum(float(example.error(unit(*example.args, **example.kwargs))) for example in found)
    if not after < before:
        unit.load_state_dict(state)
        return before, before
    return after, before


def _prepare_activations(
    layers: Mapping[str, QuantLayer], settings: ReconstructionSettings, generator: torch.Generator, stack: ExitStack
) -> list[Dropping]:
    """Let static quantizers drop and learn until the stack closes."""
    found = []
    for layer in layers.values():
        assert isinstance(layer.activation, StaticQuantizer)
        dropping = Dropping(layer.activation, settings.drop, generator)
        stack.callback(setattr, layer, "activation", layer.activation)
        stack.callback(dropping.finish)
        layer.activation = dropping
        found.append(dropping)
    return found


@torch.enable_grad()
def _learn(
    unit: nn.Module,
    roundings: Mapping[str, SoftRounding],
    learners: Sequence[Dropping],
    found: Sequence[Example],
    unit_error: float,
    settings: ReconstructionSettings,
    generator: torch.Generator,
) -> None:
    groups = [{"params": [rounding.logits for rounding in roundings.values()], "lr": settings.rate}]
    for learner in learners:
        groups += learner.step.groups(settings.step_rate)
    optimizer = torch.optim.Adam(groups)
    count = sum(rounding.logits.numel() for rounding in roundings.values())
    for step in range(settings.steps):
        example = found[int(torch.randint(len(found), (), generator=generator))]
        shares = {name: rounding.share() for name, rounding in roundings.items()}
        weights = {f"{name}.weight".lstrip("."): rounding.weight(shares[name]) for name, rounding in roundings.items()}
        output = functional_call(unit, weights, _inputs(example, settings.drop, generator), example.kwargs)
        loss = example.error(output) / unit_error
        exponent = settings.pressure.exponent(step, settings.steps)
        if exponent is not None:
            total = torch.stack([undecided(share, exponent) for share in shares.values()]).sum()
            loss = loss + settings.pressure.weight * total / count
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for learner in learners:
            learner.step.keep_valid()


def _inputs(example: Example, drop: float, generator: torch.Generator) -> tuple[Any, ...]:
    """What the unit takes in for one step: where values are dropped, a random mixture with the float model's."""
    if not drop:
        return example.args
    return mixed(example.args[0], example.float_input, drop, generator), *example.args[1:]
