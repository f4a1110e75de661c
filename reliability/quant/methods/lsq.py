"""Quantization-aware training: LSQ, with learned steps of weights too, LSQ+, PACT, DoReFa, and plain straight-through.

All share one loop, described in :class:`reliability.quant.qat.training.Training`, and differ in what of a
quantizer is learned.
"""

from __future__ import annotations

from functools import partial

from reliability.quant.methods.workbench import LayerBench
from reliability.quant.qat.lsq import LearnedStep
from reliability.quant.qat.lsq_plus import LearnedStepAndOffset, wide_scales
from reliability.quant.qat.pact import LearnedClip
from reliability.quant.qat.trainable import Variant, bake, make_trainable
from reliability.quant.qat.training import Training
from reliability.quant.qat.weights import DorefaGrid, learned_from


def apply(bench: LayerBench, variant: Variant) -> None:
    """Start from the ranges that were set and float weights, train, then put the weights on their grid.

    Raises:
        QuantizationError: Training diverged, or a checkpoint is another training's.
    """
    make_trainable(bench.layers, bench.float_model, variant)
    Training(bench).run()
    bake(bench.layers)


VARIANTS: dict[str, Variant] = {
    "ste": Variant(),
    "lsq": Variant(activation=LearnedStep),
    "lsqw": Variant(learned_from(lambda format, weight: format.scales(weight)), LearnedStep),
    "lsqplus": Variant(learned_from(wide_scales), LearnedStepAndOffset),
    "pact": Variant(activation=LearnedClip),
    "dorefa": Variant(DorefaGrid),
}
"""Word to what is learned, and how weights are rounded; a new variant is one line here and one in ``schemes``."""

METHODS = {word: partial(apply, variant=variant) for word, variant in VARIANTS.items()}
"""Word to method."""
