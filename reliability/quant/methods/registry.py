"""Method name to what applies it; a new method is one module and one line here, and its word one in ``schemes``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from reliability.quant.methods import (
    adaround,
    awq,
    biascorr,
    brecq,
    gptq,
    hadamard,
    hqq,
    lsq,
    mixed,
    noise,
    perchannel,
    qdrop,
    raana,
    repq,
    rtn,
    smoothing_search,
    smoothquant,
    tunescale,
)
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.recipe import AUTO, Recipe


@dataclass(frozen=True)
class Transform:
    """A rewriting of the float model that keeps what it computes.

    Attributes:
        apply: Changes the model of a workbench in place.
        structure: Puts in place, without data, the modules that ``apply`` relies on;
            None where it changes weights alone.
    """

    apply: Callable[[Workbench], None]
    structure: Callable[[nn.Module, Recipe], None] | None = None


def _smooth(bench: Workbench) -> None:
    """SmoothQuant at the strength that the recipe states, or at one of each fold's own."""
    (smoothing_search if bench.recipe.alpha == AUTO else smoothquant).smooth(bench)


TRANSFORMS: dict[str, Transform] = {
    "smoothquant": Transform(_smooth),
    "awq": Transform(awq.scale),
    "hadamard": Transform(hadamard.rotate, hadamard.add_rotations),
    "raana": Transform(raana.rotate, raana.add_rotations),
    "repq": Transform(repq.reparametrize, repq.add_biases),
    "perchannel": Transform(perchannel.fold_channels, perchannel.add_divisors),
}

LAYER_METHODS: dict[str, Callable[[LayerBench], None]] = {
    "rtn": rtn.apply,
    **lsq.METHODS,
    "noise": noise.apply,
    "mixed": mixed.apply,
    "gptq": gptq.apply,
    "adaround": adaround.apply,
    "raana": raana.apply,
    "brecq": brecq.apply,
    "qdrop": qdrop.apply,
    "awq": awq.clip,
    "hqq": hqq.apply,
    "biascorr": biascorr.apply,
}
"""Widths, roundings and trainings: what is done once layers are quantized."""

HEAD_METHODS: dict[str, Callable[[Workbench], None]] = {"tunescale": tunescale.apply}
"""What is done last, to what turns embeddings into confidence."""
