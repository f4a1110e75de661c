"""Attention's own two products in low precision: query with key, probability with value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.explicit import FusedProducts, SplitAttention, SplitAttentionPool
from reliability.quant.formats.values import Integers, Minifloat, Scales, Values
from reliability.quant.formats.weights import weight_format
from reliability.quant.number_format import INTEGERS, Activation
from reliability.quant.quantizers import BlockQuantizer, DynamicQuantizer, StaticFloatQuantizer, StaticQuantizer
from reliability.quant.recipe import Recipe, Towers
from reliability.quant.schemes import ATTENTION
from reliability.quant.towers import replace_module, tower_modules

FACTORS = ("query", "key", "value", "probability")


class QuantProducts(nn.Module):
    """Attention with a module before each factor of its two products.

    Args:
        query, key, value: Take [B, H, tokens, width] of one head each.
        probability: Takes the softmax [B, H, L, S], whose values lie in [0, 1].

    Conventions:
        The division by the root of the width and the mask come after the first product,
        and the softmax between the two is in float, as in integer kernels.
    """

    def __init__(self, query: nn.Module, key: nn.Module, value: nn.Module, probability: nn.Module) -> None:
        super().__init__()
        self.query, self.key, self.value, self.probability = query, key, value, probability

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """As :class:`reliability.quant.explicit.FusedProducts` does."""
        scores = self.query(query) @ self.key(key).mT * query.shape[-1] ** -0.5
        return self.mix(_masked(scores, bias).softmax(dim=-1), value)

    def mix(self, probability: Tensor, value: Tensor) -> Tensor:
        """The second product."""
        return self.probability(probability) @ self.value(value)  # type: ignore[no-any-return]


class TokenProducts(QuantProducts):
    """The same with one scale for each token of each head, which it takes from itself.

    Conventions:
        The second product sums over tokens, so that their scales cannot be taken out of
        it: the probability of a token is multiplied by the scale of its value before it
        is quantized. Each row of that has one scale. What a token attends to decides
        alone what comes out, so neither batch mates nor, under a causal mask, later
        tokens can move a code.
    """

    def mix(self, probability: Tensor, value: Tensor) -> Tensor:
        """The second product."""
        assert isinstance(self.value, DynamicQuantizer)
        _, scales = self.value.parts(value)
        codes = self.value(value) / scales.scale
        return self.probability(probability * scales.scale.mT) @ codes  # type: ignore[no-any-return]


class ColumnBlocks(nn.Module):
    """A quantizer whose blocks lie along tokens, the axis that the second product sums over.

    Args:
        blocks: Quantizes along the last axis.
    """

    has_range = True

    def __init__(self, blocks: BlockQuantizer) -> None:
        super().__init__()
        self.blocks, self.values = blocks, blocks.values

    def parts(self, x: Tensor) -> tuple[Tensor, Scales]:
        """Blocks, with a scale each."""
        return self.blocks.parts(x.mT)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize and dequantize [B, H, tokens, width]."""
        return self.blocks(x.mT).mT  # type: ignore[no-any-return]


def insert_product_quantizers(clip: nn.Module, recipe: Recipe) -> dict[str, nn.Module]:
    """Quantize the attention of a recipe's towers, in place, where the recipe asks for it.

    Returns:
        Name to quantizer; static ones have no range yet.

    Raises:
        QuantizationError: A tower has no attention that was split.
    """
    if not recipe.covers(ATTENTION):
        return {}
    names = list(_attentions(clip, recipe.towers))
    if not names:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="the towers have no attention whose products could be quantized",
            next=f"leave out +{ATTENTION}, or use a tower of nn.MultiheadAttention",
        )
    device = next(clip.parameters()).device
    for name in names:
        replace_module(clip, name, PRODUCTS[recipe.activation](recipe).to(device))
    modules = dict(clip.named_modules())
    return {f"{name}.{factor}": modules[f"{name}.{factor}"] for name in names for factor in FACTORS}


@contextmanager
def explicit_products(clip: nn.Module, towers: Towers) -> Iterator[None]:
    """Spell out the attention of a float model for a while, so that its factors can be observed."""
    fused = _attentions(clip, towers)
    for name in fused:
        replace_module(clip, name, QuantProducts(*(nn.Identity() for _ in FACTORS)))
    try:
        yield
    finally:
        for name, module in fused.items():
            replace_module(clip, name, module)


def _attentions(clip: nn.Module, towers: Towers) -> dict[str, nn.Module]:
    """Name to products, of every attention that was split and is still in float."""
    return {
        f"{name}.products": module.products
        for name, module in tower_modules(clip, towers).items()
        if isinstance(module, (SplitAttention, SplitAttentionPool)) and isinstance(module.products, FusedProducts)
    }


def _masked(scores: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return scores
    return scores.masked_fill(~bias, -torch.inf) if bias.dtype == torch.bool else scores + bias


def _static(recipe: Recipe) -> QuantProducts:
    """Per-tensor ranges; one that starts at 0, as a probability's, has zero point 0 and uses every code."""
    values = _values(recipe)
    floats = isinstance(values, Minifloat)
    return QuantProducts(
        *(StaticFloatQuantizer(values) if floats else StaticQuantizer(recipe.activation_bits) for _ in FACTORS)
    )


def _dynamic(recipe: Recipe) -> QuantProducts:
    values = _values(recipe)
    # A probability has no sign: its grid is 0..2^b-1 without a zero point.
    unsigned = Integers(recipe.activation_bits, symmetric=False) if isinstance(values, Integers) else values
    return TokenProducts(*(DynamicQuantizer(v, (-1,)) for v in (values, values, values, unsigned)))


def _block(recipe: Recipe) -> QuantProducts:
    form = weight_format(recipe)
    assert isinstance(form.sharing.unit, int)
    query, key, value, probability = (
        BlockQuantizer(form.values, form.scaling, form.sharing.unit, image=False) for _ in FACTORS
    )
    return QuantProducts(query, key, ColumnBlocks(value), probability)


def _values(recipe: Recipe) -> Values:
    integers = recipe.number_format.family == INTEGERS
    return Integers(recipe.activation_bits) if integers else weight_format(recipe).values


PRODUCTS: dict[Activation, Callable[[Recipe], QuantProducts]] = {
    "static": _static,
    "dynamic": _dynamic,
    "block": _block,
}
"""Kind of activation quantization to what it makes of attention."""
