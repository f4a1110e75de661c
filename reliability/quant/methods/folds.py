"""Scales per channel that one layer takes up and the next one undoes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reliability.quant.explicit import SplitAttention
from reliability.quant.methods.norm_pairs import find_pairs
from reliability.quant.recipe import Tower
from reliability.quant.towers import tower_modules


@dataclass(frozen=True)
class Fold:
    """What can take up the inverse of a scale, and who reads its output.

    Attributes:
        source: A LayerNorm, or the Linear of attention's values.
        readers: Names of all the Linears that take in its output, channel by channel.
    """

    source: nn.LayerNorm | nn.Linear
    readers: tuple[str, ...]


def find_folds(clip: nn.Module, tower: Tower) -> list[Fold]:
    """Every fold of a tower that is exact.

    Conventions:
        LayerNorms with their readers, and attention's values with its output layer: a
        token's mixture of values is linear in each channel. There is none between the two
        layers of an MLP, whose activation function is not, nor between queries and keys,
        which belong to one product and not to a layer and its reader.
    """
    folds = [Fold(pair.norm, pair.consumers) for pair in find_pairs(clip, tower)]
    for name, module in tower_modules(clip, tower).items():
        if isinstance(module, SplitAttention):
            folds.append(Fold(module.v_proj, (f"{name}.out_proj",)))
    return folds


@torch.no_grad()
def apply_scale(source: nn.LayerNorm | nn.Linear, weights: Sequence[nn.Parameter], scales: Tensor) -> None:
    """Divide what a source gives by a scale per channel, and multiply its readers' columns, in place."""
    source.weight.div_(scales if source.weight.ndim == 1 else scales[:, None])
    if source.bias is not None:
        source.bias.div_(scales)
    for weight in weights:
        weight.mul_(scales)
