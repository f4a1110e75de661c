"""bfloat16 matrix products while training on a GPU; quantizers, losses and weights stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.qat.learnable import LearnedQuantizer
from reliability.quant.quantizers import BlockQuantizer, DynamicQuantizer, RangeQuantizer

_QUANTIZERS = (RangeQuantizer, DynamicQuantizer, BlockQuantizer, LearnedQuantizer)


def pays(device: torch.device) -> bool:
    """Whether products in bfloat16 are worth their rounding: on a GPU; the CPU is the reference platform."""
    return device.type == "cuda"


@contextmanager
def bfloat16_products(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Within this context the model multiplies in bfloat16, and its quantizers see float32.

    Args:
        model: Its activation quantizers are found by type.
        device: Where its tensors lie.

    Conventions:
        A quotient by a step has to be exact enough to be rounded to one of 256 codes, which
        bfloat16's 8 significant bits are not. Weights are rounded from float32 by their rules,
        before the product takes them.
    """
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, _QUANTIZERS):
                stack.enter_context(module.register_forward_pre_hook(_in_float32))
        stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        yield


def _in_float32(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    del module
    return tuple(value.float() if isinstance(value, Tensor) else value for value in inputs)
