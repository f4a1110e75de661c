"""SmoothQuant: move activation outliers into the weights that consume them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.explicit import Projection, SplitAttention
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import ChannelObserver
from reliability.quant.range_setting import observe
from reliability.quant.recipe import EACH_TOWER, Towers, includes
from reliability.quant.towers import tower_modules

_SMALLEST = 1e-5


@dataclass(frozen=True)
class Pair:
    """A LayerNorm and the names of all the Linears that take in its output."""

    norm: nn.LayerNorm
    consumers: tuple[str, ...]


def smooth(bench: Workbench) -> None:
    """Fold smoothing scales into each LayerNorm and its consumers, in place.

    Conventions:
        Pairs are ln_1 with q, k and v; ln_2 with the MLP's first layer; ln_post
        and ln_final with the projections. ln_pre starts the residual stream and
        cannot be folded.

    Source:
        Xiao et al., SmoothQuant, ICML 2023 (arXiv 2211.10438), equation 4.
        Departure: one scale for all consumers of a LayerNorm, from the largest
        weight among them, as the fold requires.

    Raises:
        QuantizationError: A tower has no LayerNorm that can take up the scales.
    """
    pairs = _require_pairs(bench)
    firsts = [pair.consumers[0] for pair in pairs]
    observers = observe(bench.model, bench.recipe, bench.data, ChannelObserver, firsts)
    for pair in pairs:
        consumers = [bench.model.get_submodule(name) for name in pair.consumers]
        weights = [c.weight for c in consumers if isinstance(c, nn.Linear)]
        _fold(pair.norm, weights, observers[pair.consumers[0]].result(), bench.recipe.alpha or 0.0)
    bench.report(f"{bench.recipe.name}: {len(pairs)} LayerNorms smoothed")


def _require_pairs(bench: Workbench) -> list[Pair]:
    """The pairs of the recipe's towers, where each has some."""
    found: list[Pair] = []
    for tower in EACH_TOWER:
        if not bench.recipe.quantizes(tower):
            continue
        pairs = find_pairs(bench.model, tower)
        if not pairs:
            raise QuantizationError(
                where=f"recipe {bench.recipe.name}, {tower} tower",
                what="SmoothQuant needs LayerNorms followed by Linears, and this tower has none",
                next="use the minmax, percentile, dynamic or lsq scheme, or quantize the other tower alone",
            )
        found += pairs
    return found


def find_pairs(clip: nn.Module, towers: Towers) -> list[Pair]:
    """All LayerNorms whose scale and shift can be divided into the layers after them."""
    modules = tower_modules(clip, towers)
    pairs = [pair for name, module in modules.items() for pair in _block_pairs(name, module)]
    if includes(towers, "vision") and not _shows_tokens(clip.get_submodule("visual")):
        pairs += _projection_pair(clip, "visual.ln_post", "visual.proj")
    if includes(towers, "text"):
        for prefix in ("", "text."):
            pairs += _projection_pair(clip, f"{prefix}ln_final", f"{prefix}text_projection")
    return pairs


def smoothing_scale(activation_amax: Tensor, weight_amax: Tensor, alpha: float) -> Tensor:
    """Per-channel divisor of activations, max|X|^alpha / max|W|^(1 - alpha).

    Args:
        activation_amax, weight_amax: [C] largest magnitudes of one input channel.
        alpha: In [0, 1]; 0 leaves activations as hard, 1 moves all into the weights.

    Conventions:
        At least 1e-5; 1 for a channel without activations or without weights.
    """
    scale = (activation_amax**alpha / weight_amax ** (1 - alpha)).clamp(min=_SMALLEST)
    dead = (activation_amax == 0) | (weight_amax == 0)
    return torch.where(dead, torch.ones_like(scale), scale)


@torch.no_grad()
def _fold(norm: nn.LayerNorm, weights: Sequence[Tensor], activation_amax: Tensor, alpha: float) -> None:
    weight_amax = torch.stack([weight.abs().amax(dim=0) for weight in weights]).amax(dim=0)
    scale = smoothing_scale(activation_amax, weight_amax, alpha)
    norm.weight.div_(scale)
    norm.bias.div_(scale)
    for weight in weights:
        weight.mul_(scale)


def _block_pairs(name: str, block: nn.Module) -> list[Pair]:
    """Pairs inside one residual block of open_clip, none for other modules."""
    pairs = []
    if isinstance(getattr(block, "attn", None), SplitAttention) and not hasattr(block, "ln_1_kv"):
        pairs += _pair(block, "ln_1", [f"{name}.attn.{part}_proj" for part in "qkv"])
    if isinstance(getattr(getattr(block, "mlp", None), "c_fc", None), nn.Linear):
        pairs += _pair(block, "ln_2", [f"{name}.mlp.c_fc"])
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
