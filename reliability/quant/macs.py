"""Count multiply-accumulates, by module and by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reliability.quant.attention import QuantProducts
from reliability.quant.recipe import Towers, includes
from reliability.quant.towers import encode


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward pass.

    Attributes:
        by_module: Of the modules that were asked for.
        attention: Of all products of two activations, whether in those modules or not.
        everything: Of all products and convolutions.
    """

    by_module: Mapping[str, int]
    attention: int
    everything: int


def count_macs(
    clip: nn.Module, modules: Mapping[str, nn.Module], images: Tensor, tokens: Tensor, towers: Towers
) -> Macs:
    """Run the towers once.

    Args:
        clip: Any CLIP.
        modules: Linear and Conv2d layers and :class:`QuantProducts`, counted by their shapes.
        images: [N, 3, H, W].
        tokens: [N, L].
        towers: Which to run.
    """
    macs = dict.fromkeys(modules, 0)
    counter = FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)
    with torch.no_grad(), _fused_attention_off(), ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(_hook(macs, name)).remove)
        stack.enter_context(counter)
        if includes(towers, "vision"):
            encode(clip, "vision", images)
        if includes(towers, "text"):
            encode(clip, "text", tokens)
    flops = counter.get_flop_counts().get("Global", {})
    found = {str(operator): count // 2 for operator, count in flops.items()}
    attention = sum(count for operator, count in found.items() if _is_attention(operator))
    return Macs(macs, attention, sum(found.values()))


def _hook(macs: dict[str, int], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(module, QuantProducts):
            macs[name] += _attention_flops(*(x.shape for x in inputs[:3])) // 2
        else:
            macs[name] += output.numel() * prod(module.get_parameter("weight").shape[1:])

    return count


def _is_attention(operator: str) -> bool:
    """Whether both factors are activations: fused attention, or batched products that spell it out."""
    return "scaled_dot_product" in operator or operator.endswith("bmm")


def _attention_flops(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Operations of attention from the shapes [B, H, L, d], [B, H, S, d] and [B, H, S, e]."""
    del args, out_shape, kwargs
    batch, heads, length, width = query
    return int(2 * batch * heads * length * key[2] * (width + value[3]))


# The dispatcher's own table knows only the kernels of accelerators.
_CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


@contextmanager
def _fused_attention_off() -> Iterator[None]:
    """Keep ``nn.MultiheadAttention`` off its fused path, which hides its products from the count."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
