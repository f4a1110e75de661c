"""LayerNorms and the layers that read them, which can trade scales with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.explicit import Projection, SplitAttention
from reliability.quant.recipe import EACH_TOWER, Recipe, Tower, Towers, includes
from reliability.quant.towers import tower_modules

Found = TypeVar("Found")


@dataclass(frozen=True)
class Pair:
    """A LayerNorm and the names of all the Linears that take in its output."""

    norm: nn.LayerNorm
    consumers: tuple[str, ...]


def in_each_tower(
    model: nn.Module, recipe: Recipe, find: Callable[[nn.Module, Tower], list[Found]], method: str, schemes: str
) -> list[Found]:
    """What is found in the towers of a recipe, where each has some.

    Args:
        model: After surgery.
        recipe: Says which towers.
        find: Takes the model and a tower.
        method: Name for the error message.
        schemes: What to use instead.

    Raises:
        QuantizationError: A tower has none.
    """
    everything: list[Found] = []
    for tower in (tower for tower in EACH_TOWER if recipe.quantizes(tower)):
        found = find(model, tower)
        if not found:
            raise QuantizationError(
                where=f"recipe {recipe.name}, {tower} tower",
                what=f"{method} needs LayerNorms followed by Linears, and this tower has none",
                next=f"use the {schemes} scheme, or quantize the other tower alone",
            )
        everything += found
    return everything


def find_pairs(clip: nn.Module, towers: Towers) -> list[Pair]:
    """All LayerNorms whose scale and shift can be divided into the layers after them."""
    modules = tower_modules(clip, towers)
    kinds = (_block_pairs, _timm_pairs)
    pairs = [pair for name, module in modules.items() for find in kinds for pair in find(name, module)]
    if includes(towers, "vision") and not _shows_tokens(clip.get_submodule("visual")):
        pairs += _projection_pair(clip, "visual.ln_post", "visual.proj")
    if includes(towers, "text"):
        for prefix in ("", "text."):
            pairs += _projection_pair(clip, f"{prefix}ln_final", f"{prefix}text_projection")
    return pairs


def _block_pairs(name: str, block: nn.Module) -> list[Pair]:
    """Pairs inside one residual block of open_clip, none for other modules."""
    pairs = []
    if isinstance(getattr(block, "attn", None), SplitAttention) and not hasattr(block, "ln_1_kv"):
        pairs += _pair(block, "ln_1", [f"{name}.attn.{part}_proj" for part in "qkv"])
    if isinstance(getattr(getattr(block, "mlp", None), "c_fc", None), nn.Linear):
        pairs += _pair(block, "ln_2", [f"{name}.mlp.c_fc"])
    return pairs


def _timm_pairs(name: str, block: nn.Module) -> list[Pair]:
    """Pairs inside one block of timm: a transformer's, a ConvNeXt's, or a tower that ends in attention pooling."""
    pairs: list[Pair] = []
    attention, mlp, pool = (getattr(block, part, None) for part in ("attn", "mlp", "attn_pool"))
    if isinstance(getattr(attention, "qkv", None), nn.Linear) and getattr(attention, "gate", None) is None:
        pairs += _pair(block, "norm1", [f"{name}.attn.qkv"])
    if isinstance(getattr(mlp, "fc1", None), nn.Linear):
        pairs += _pair(block, "norm2" if hasattr(block, "norm2") else "norm", [f"{name}.mlp.fc1"])
    if isinstance(getattr(pool, "kv", None), nn.Linear) and getattr(pool, "pos_embed", None) is None:
        pairs += _pair(block, "norm", [f"{name}.attn_pool.kv"])
    return pairs


def _pair(owner: nn.Module, norm_name: str, consumers: Sequence[str]) -> list[Pair]:
    norm = getattr(owner, norm_name, None)
    if isinstance(norm, nn.LayerNorm) and norm.elementwise_affine and norm.bias is not None:
        return [Pair(norm, tuple(consumers))]
    return []


def _projection_pair(clip: nn.Module, norm: str, projection: str) -> list[Pair]:
    owner_name, _, norm_name = norm.rpartition(".")
    modules = dict(clip.named_modules())
    layer = modules.get(projection)
    if isinstance(layer, Projection):
        return _pair(modules[owner_name], norm_name, [f"{projection}.linear"])
    return _pair(modules[owner_name], norm_name, [projection]) if isinstance(layer, nn.Linear) else []


def _shows_tokens(visual: nn.Module) -> bool:
    """Whether ln_post feeds more than the projection: returned tokens, or a second pooling."""
    return bool(getattr(visual, "output_tokens", False)) or getattr(visual, "attn_pool_contrastive", None) is not None
