"""Layers that have a width of their own, which is part of a model's state."""

from __future__ import annotations

from typing import Any

import torch

from reliability.quant.formats.weights import with_width

_BUFFER = "weight_bits"


def give_own_width(layer: Any) -> None:
    """Let a quantized layer keep its width as a buffer, and take up the width of a state that it loads.

    Args:
        layer: Its format becomes that of the loaded width; shapes do not depend on it.
    """
    layer.register_buffer(_BUFFER, torch.tensor(layer.format.values.bits, device=layer.weight.device))
    layer.register_load_state_dict_post_hook(_follow)


def set_width(layer: Any, bits: int) -> None:
    """Give a layer another format of the same kind; its weight is to be put on the new grid afterwards."""
    layer.get_buffer(_BUFFER).fill_(bits)
    layer.format = with_width(layer.format, bits)


def follow_width(layer: Any) -> None:
    """Give a layer the format of the width that its buffer says; a layer without one stays as it is."""
    if hasattr(layer, _BUFFER):
        layer.format = with_width(layer.format, int(layer.get_buffer(_BUFFER)))


def _follow(layer: Any, incompatible: object) -> None:
    del incompatible
    follow_width(layer)
