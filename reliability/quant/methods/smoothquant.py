"""SmoothQuant: move activation outliers into the weights that consume them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reliability.quant.methods.norm_pairs import find_pairs, in_each_tower
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import ChannelObserver
from reliability.quant.range_setting import observe

_SMALLEST = 1e-5


def smooth(bench: Workbench) -> None:
    """Fold smoothing scales into each LayerNorm and its consumers, in place.

    Conventions:
        Pairs are ln_1 with q, k and v; ln_2 with the MLP's first layer; ln_post
        and ln_final with the projections; and the like in timm's transformers,
        attention pooling and ConvNeXts. ln_pre starts the residual stream and
        cannot be folded.

    Source:
        Xiao et al., SmoothQuant, ICML 2023 (arXiv 2211.10438), equation 4.
        Departure: one scale for all consumers of a LayerNorm, from the largest
        weight among them, as the fold requires.

    Raises:
        QuantizationError: A tower has no LayerNorm that can take up the scales.
    """
    strength = bench.recipe.alpha
    assert isinstance(strength, float)
    pairs = in_each_tower(bench.model, bench.recipe, find_pairs, "SmoothQuant", "minmax, percentile, dynamic or lsq")
    firsts = [pair.consumers[0] for pair in pairs]
    observers = observe(bench.model, bench.recipe, bench.data, ChannelObserver, firsts)
    for pair in pairs:
        consumers = [bench.model.get_submodule(name) for name in pair.consumers]
        weights = [c.weight for c in consumers if isinstance(c, nn.Linear)]
        _fold(pair.norm, weights, observers[pair.consumers[0]].result(), strength)
    bench.report(f"{bench.recipe.name}: {len(pairs)} LayerNorms smoothed")


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
