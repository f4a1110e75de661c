"""Bias correction: give every output channel the mean that it has in floating point."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.layers import QuantLayer
from reliability.quant.methods.layer_inputs import Moments, moments, visit_layers, weight_columns
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.range_setting import observe
from reliability.quant.towers import gemm_layers


def apply(bench: LayerBench) -> None:
    """Add E[y_float - y_quantized] to the bias of every layer, in the order in which layers run.

    Conventions:
        The quantized mean is over inputs as the quantized layer sees them, behind layers
        that were corrected. A layer without a bias stays as it is: the structure of a
        model is the recipe's, and a projection's has no place for one.

    Source:
        Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
        Correction, ICCV 2019 (arXiv 1906.04721), section 4.2 and appendix D (from data).
        Departure: means are exact over all range-setting pairs, from the mean input.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    floats = gemm_layers(bench.float_model, bench.recipe.towers)
    biased = [name for name, layer in bench.layers.items() if layer.bias is not None]
    seen = observe(
        bench.float_model, bench.recipe, bench.data, lambda name: Moments(floats[name], second=False), biased
    )

    def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
        if layer.bias is not None:
            correct(layer, x, floats[name], seen[name].mean)

    visit_layers(bench, visit)
    bench.report(f"{bench.recipe.name}: {len(biased)} of {len(bench.layers)} biases corrected")


@torch.no_grad()
def correct(layer: QuantLayer, x: Tensor, source: nn.Linear | nn.Conv2d, wanted: Tensor) -> None:
    """Shift a layer's bias until its mean output is that of another.

    Args:
        layer: The one whose bias is set.
        x: What its product takes in.
        source: The float layer.
        wanted: Mean of what that one takes in, [groups, K].
    """
    assert layer.bias is not None
    assert source.bias is not None
    there = _mean_product(source, wanted)
    here = _mean_product(layer, moments(layer, x, second=False).mean)
    layer.bias.copy_(source.bias + (there - here))


def _mean_product(layer: nn.Linear | nn.Conv2d, mean: Tensor) -> Tensor:
    """Mean output without the bias, [out] float64."""
    return (weight_columns(layer, layer.weight).double() @ mean[..., None]).flatten()
