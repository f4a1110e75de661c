"""Method name to what applies it; a new method is one module and one line here, and its word one in ``schemes``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from reliability.quant.methods import (
    adaround,
    awq,
    biascorr,
    gptq,
    hadamard,
    hqq,
    lsq,
    noise,
    repq,
    rtn,
    smoothquant,
    tunescale,
)
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.recipe import Recipe


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


TRANSFORMS: dict[str, Transform] = {
    "smoothquant": Transform(smoothquant.smooth),
    "awq": Transform(awq.scale),
    "hadamard": Transform(hadamard.rotate, hadamard.add_rotations),
    "repq": Transform(repq.reparametrize, repq.add_biases),
}

LAYER_METHODS: dict[str, Callable[[LayerBench], None]] = {
    "rtn": rtn.apply,
    **lsq.METHODS,
    "noise": noise.apply,
    "gptq": gptq.apply,
    "adaround": adaround.apply,
    "awq": awq.clip,
    "hqq": hqq.apply,
    "biascorr": biascorr.apply,
}
"""Roundings and trainings: what is done once layers are quantized."""

HEAD_METHODS: dict[str, Callable[[Workbench], None]] = {"tunescale": tunescale.apply}
"""What is done last, to what turns embeddings into confidence."""
