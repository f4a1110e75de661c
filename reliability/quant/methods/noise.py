"""The noise arm: a control that ends in float."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import nn

from reliability.quant.layers import QuantLayer
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.qat.noise import NoisyWeight, StepNoise
from reliability.quant.qat.trainable import Variant, make_trainable, trained_weight
from reliability.quant.qat.training import Training
from reliability.quant.towers import gemm_layers, replace_module


def apply(bench: LayerBench) -> None:
    """Train as ``ste`` does, with uniform noise of a step's width in place of every rounding, and keep no grid.

    What this model gains over FP32 came from training under noise and not from the
    grid. Its layers are the plain float layers of a model before quantization, and its
    weights lie on no grid: it must never be reported as quantized.

    Conventions:
        Steps are those of the recipe's format: of the static ranges that were set for
        activations, recomputed from the weight in every forward pass for weights. Noise
        is independent of the value, is not clipped to a range, and depends on the
        recipe's seed alone.

    Raises:
        QuantizationError: Training diverged, or a checkpoint is another training's.
    """
    generator = torch.Generator().manual_seed(bench.recipe.seed)
    variant = Variant(partial(NoisyWeight, generator=generator), partial(StepNoise, generator=generator))
    make_trainable(bench.layers, bench.float_model, variant)
    Training(bench, [generator]).run()
    sources = gemm_layers(bench.float_model, bench.recipe.towers)
    for name, layer in bench.layers.items():
        replace_module(bench.model, name, _plain(sources[name], layer))
    bench.report(f"{bench.recipe.name}: a control, which ends in float; {len(bench.layers)} layers have no grid")


def _plain(source: nn.Linear | nn.Conv2d, trained: QuantLayer) -> nn.Module:
    """The float layer with trained parameters."""
    plain = copy.deepcopy(source)
    plain.weight, plain.bias = nn.Parameter(trained_weight(trained)[1].detach()), trained.bias
    return plain
