"""BRECQ: the layers of a residual block learn together whether weights are rounded up or down."""

from __future__ import annotations

from reliability.quant.methods.reconstruction.learning import ReconstructionSettings
from reliability.quant.methods.reconstruction.run import reconstruct_units
from reliability.quant.methods.workbench import LayerBench

DEFAULTS = ReconstructionSettings(steps=200, fisher=True)


def apply(bench: LayerBench, settings: ReconstructionSettings = DEFAULTS) -> None:
    """Learn roundings block by block, by the error of what the block gives, weighted by squared gradients.

    Conventions:
        The weights of errors are the diagonal of the empirical Fisher information of each
        block's output, from CLIP's contrastive loss on the range-setting pairs at the float
        model: one weight per position and channel. ``fisher=False`` makes all of them 1.
        Activations are quantized throughout, with the ranges that were set.

    Source:
        Li et al., BRECQ, ICLR 2021 (arXiv 2102.05426), equation 10 and algorithm 1, with
        AdaRound's soft rounding. Departures: 200 steps of 16 pairs at a rate of 0.1, in place
        of 20,000 of 32 at 0.001; squared gradients are averaged over pairs,
        because those of single pairs, most of which have next to none, made the embeddings
        of a zoo model worse than no weights did; activations are quantized while weights
        learn, not after; their steps are not learned; the pressure towards up or down is
        relative to the error of rounding to nearest; a block that does not gain keeps
        rounding to nearest; first and last layers have the recipe's width.

    Raises:
        QuantizationError: A block gives no tensor, or values that are not finite.
    """
    reconstruct_units(bench, settings)
