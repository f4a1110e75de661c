"""QDrop: blocks are reconstructed while a random half of their activations stays in float."""

from __future__ import annotations

from reliability.quant.methods.reconstruction.learning import ReconstructionSettings
from reliability.quant.methods.reconstruction.run import reconstruct_units
from reliability.quant.methods.workbench import LayerBench

DEFAULTS = ReconstructionSettings(steps=200, drop=0.5, step_rate=1e-3)


def apply(bench: LayerBench, settings: ReconstructionSettings = DEFAULTS) -> None:
    """Learn roundings and activation steps block by block, half of the activations not quantized at each step.

    Conventions:
        Each value that a quantizer takes in, and each that a block takes in, stays what the
        float model makes of it with probability one half, drawn anew at every step. Once a
        block has learned, all of it is quantized. Zero points stay as they were set.

    Source:
        Wei et al., QDrop, ICLR 2022 (arXiv 2203.05740), section 4.2 and algorithm 1; block
        reconstruction as in BRECQ, unweighted. Departures: as in
        :mod:`reliability.quant.methods.brecq`, but for the steps; these begin at the
        ranges that were set.

    Raises:
        QuantizationError: A block gives no tensor, or values that are not finite.
    """
    reconstruct_units(bench, settings)
