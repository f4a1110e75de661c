"""Round to nearest: the plain post-training quantization that the others build on."""

from __future__ import annotations

from reliability.quant.methods.workbench import LayerBench


def apply(bench: LayerBench) -> None:
    """Leave the weights as quantized layers begin, on the nearest values of their format."""
    bench.report(f"{bench.recipe.name}: {len(bench.layers)} layers quantized")
