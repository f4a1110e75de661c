"""Turn quantized layers into trainable ones, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from reliability.quant.formats import WeightFormat
from reliability.quant.layers import QuantLayer
from reliability.quant.qat.lsq import LearnedStep
from reliability.quant.quantizers import StaticQuantizer


class OnGrid(nn.Module):
    """Parametrization that shows a layer its float weight rounded to the grid.

    Conventions:
        The scale of each output channel is recomputed from the float weight in
        every forward pass and gets no gradient; the weight's is straight-through.
    """

    def __init__(self, format: WeightFormat) -> None:
        super().__init__()
        self.format = format

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, same shape."""
        return self.format.snap(weight, self.format.scale(weight))


def make_trainable(layers: Mapping[str, QuantLayer], float_model: nn.Module) -> dict[str, LearnedStep]:
    """Give layers their float weights back behind a rounding, and learned activation steps.

    Args:
        layers: Name to quantized layer with its range set.
        float_model: Holds the float layers under the same names.

    Returns:
        Name to learned step.
    """
    steps = {}
    for name, layer in layers.items():
        layer.weight = nn.Parameter(float_model.get_submodule(name).weight.detach().clone())  # type: ignore[operator]
        parametrize.register_parametrization(layer, "weight", OnGrid(layer.format))
        if isinstance(layer.activation, StaticQuantizer):
            layer.activation = steps[name] = LearnedStep(layer.activation)
    return steps


@torch.no_grad()
def bake(layers: Mapping[str, QuantLayer], steps: Mapping[str, LearnedStep]) -> None:
    """Leave every layer with the rounded weight, its scale and a static quantizer."""
    for name, layer in layers.items():
        original = layer.parametrizations.weight.original  # type: ignore[union-attr]
        layer.weight_scale.copy_(layer.format.scale(original))  # type: ignore[arg-type]
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        if name in steps:
            layer.activation = steps[name].finish()
