"""Changes to a quantized network that leave what it computes as it is, but for the order of sums."""

from __future__ import annotations

from typing import Any

import torch

HEADS, HEAD = 4, 32


def heads_permuted(clip: Any) -> None:
    """Heads of every block in another order, in queries, keys, values and in what reads them."""
    order = torch.arange(HEADS * HEAD).reshape(HEADS, HEAD)[[2, 0, 3, 1]].reshape(-1)
    for block in clip.visual.transformer.resblocks:
        attention = block.attn
        for layer in (attention.q_proj, attention.k_proj, attention.v_proj):
            _reorder_outputs(layer, order)
        attention.out_proj.weight.copy_(attention.out_proj.weight[:, order].clone())


def hidden_units_permuted(clip: Any) -> None:
    """Units between the two layers of every MLP."""
    for block in clip.visual.transformer.resblocks:
        order = torch.randperm(len(block.mlp.c_fc.weight), generator=torch.Generator().manual_seed(0))
        _reorder_outputs(block.mlp.c_fc, order)
        block.mlp.c_proj.weight.copy_(block.mlp.c_proj.weight[:, order].clone())


def factor_folded(clip: Any) -> None:
    """A LayerNorm gives twice as much, and its reader takes half: exact, since two is a power of two."""
    for block in clip.visual.transformer.resblocks:
        block.ln_2.weight.mul_(2)
        block.ln_2.bias.mul_(2)
        block.mlp.c_fc.weight.mul_(0.5)
        block.mlp.c_fc.weight_scale.mul_(0.5)
        block.mlp.c_fc.activation.scale.mul_(2)


def _reorder_outputs(layer: Any, order: torch.Tensor) -> None:
    for name in ("weight", "bias", "weight_scale"):
        value = getattr(layer, name)
        value.copy_(value[order].clone())


EQUIVALENT = {
    "heads permuted": heads_permuted,
    "hidden units permuted": hidden_units_permuted,
    "a factor of two folded": factor_folded,
}
