"""Biases for Linears that have none, as structure that a transform relies on."""

from __future__ import annotations

from torch import nn


def add_bias(layer: nn.Linear) -> None:
    """Give a Linear a bias of zeros if it has none."""
    if layer.bias is None:
        layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_features), requires_grad=False)
