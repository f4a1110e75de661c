"""Proof that products ran on kernels, not in float."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reliability.errors import QuantizationError
from reliability.quant.backends.registry import BACKENDS
from reliability.quant.recipe import EACH_TOWER, Recipe
from reliability.quant.towers import RangeData, encode, gemm_layers


def require_kernels(real: nn.Module, recipe: Recipe, one: RangeData) -> None:
    """Run a real candidate once and look at which operators multiplied.

    Args:
        real: With torch operators alone; a graph run elsewhere proves itself when it is made.
        recipe: Names a backend with its operators.
        one: An image and a text.

    Raises:
        QuantizationError: A product with weights ran in float, or none ran on the kernels.

    Conventions:
        Attention's own products have no weights and may stay in float. Weight-only kernels
        multiply floats, so nothing is asked of them here.
    """
    operators = BACKENDS[recipe.backend].operators
    if not operators or recipe.activation == "none":
        return
    macs = operator_macs(real, recipe, one)
    left = sum(count for name, count in macs.items() if name not in operators) - _declared_macs(real, recipe, one)
    if left or not any(name in macs for name in operators):
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what=f"products with weights ran on other operators than {', '.join(operators)}",
            got=", ".join(f"{count:,} multiply-accumulates in {name}" for name, count in macs.items()) or "none at all",
            next="simulate this recipe, or report the tower's type",
        )


def _declared_macs(clip: nn.Module, recipe: Recipe, one: RangeData) -> int:
    """Those of layers that stay in float by the recipe's declaration."""
    names = [name for name in gemm_layers(clip, recipe.towers) if recipe.leaves_float(name)]
    counts: list[int] = []
    with ExitStack() as stack:
        for name in names:
            stack.callback(clip.get_submodule(name).register_forward_hook(_count_into(counts)).remove)
        _run(clip, recipe, one)
    return sum(counts)


def _count_into(counts: list[int]) -> Callable[[nn.Module, Any, Tensor], None]:
    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        del inputs
        counts.append(output.numel() * prod(module.get_parameter("weight").shape[1:]))

    return count


def operator_macs(clip: nn.Module, recipe: Recipe, one: RangeData) -> dict[str, int]:
    """Multiply-accumulates of products with weights in the recipe's towers, by operator."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._int_mm: _product_flops})
    with counter:
        _run(clip, recipe, one)
    flops = counter.get_flop_counts().get("Global", {})
    return {str(name): count // 2 for name, count in flops.items() if not _is_attention(str(name))}


@torch.no_grad()
def _run(clip: nn.Module, recipe: Recipe, one: RangeData) -> None:
    inputs = {"vision": one.images, "text": one.tokens}
    for tower in EACH_TOWER:
        if recipe.quantizes(tower):
            encode(clip, tower, inputs[tower])


def _is_attention(operator: str) -> bool:
    return "scaled_dot_product" in operator or operator.endswith("bmm")


def _product_flops(first: Any, second: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Operations of [M, K] times [K, N], from the shapes."""
    del args, out_shape, kwargs
    return int(2 * first[0] * first[1] * second[1])
