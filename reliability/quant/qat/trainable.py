"""Turn quantized layers into trainable ones, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from reliability.quant.layers import QuantLayer, put_weight
from reliability.quant.qat.learnable import LearnedQuantizer, WeightRule
from reliability.quant.qat.weights import MakeRule, OnGrid
from reliability.quant.quantizers import StaticQuantizer


@dataclass(frozen=True)
class Variant:
    """What tells one training from another.

    Attributes:
        weight: How weights are shown while they are trained.
        activation: Takes the place of a static quantizer, None to keep its range.
    """

    weight: MakeRule = OnGrid
    activation: Callable[[StaticQuantizer], nn.Module] | None = None


def make_trainable(layers: Mapping[str, QuantLayer], float_model: nn.Module, variant: Variant) -> None:
    """Give layers their float weights back behind a variant's rule, and its activation quantizers.

    Args:
        layers: Name to quantized layer with its range set.
        float_model: Holds the float layers under the same names.
        variant: What is learned, and how weights are rounded.
    """
    for name, layer in layers.items():
        weight = float_model.get_submodule(name).get_parameter("weight").detach().clone()
        layer.weight = nn.Parameter(weight)
        # Unsafe, because a check would draw noise and add a forward pass for nothing.
        parametrize.register_parametrization(layer, "weight", variant.weight(layer.format, weight), unsafe=True)
        if variant.activation and isinstance(layer.activation, StaticQuantizer):
            layer.activation = variant.activation(layer.activation)


@torch.no_grad()
def bake(layers: Mapping[str, QuantLayer]) -> None:
    """Leave every layer with the rounded weight, its scales and a static quantizer."""
    for layer in layers.values():
        rule, weight = trained_weight(layer)
        scales = rule.scales(weight)
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        put_weight(layer, layer.weight, scales)
        if isinstance(layer.activation, LearnedQuantizer):
            layer.activation = layer.activation.finish()


def trained_weight(layer: QuantLayer) -> tuple[WeightRule, nn.Parameter]:
    """The rule of a layer in training, and the float weight behind it."""
    parametrization: Any = layer.parametrizations.weight  # type: ignore[union-attr]
    return parametrization[0], parametrization.original
