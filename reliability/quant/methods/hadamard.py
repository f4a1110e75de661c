"""Hadamard rotation: spread outliers over all channels before anything is rounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.methods.added_bias import add_bias
from reliability.quant.methods.rotation.modules import Centre, RmsNorm, Rotation
from reliability.quant.methods.rotation.streams import Stream, stream, streams
from reliability.quant.methods.workbench import Workbench
from reliability.quant.recipe import EACH_TOWER, Recipe

_STREAM, _HEADS, _FIRST_BLOCK = 0, 1, 2


def add_rotations(model: nn.Module, recipe: Recipe) -> None:
    """Put rotations and norms without scale and shift in place; the model computes nothing sensible until rotated.

    Raises:
        QuantizationError: A tower is no plain transformer of open_clip.
    """
    for found in list(streams(model, recipe, "Hadamard rotation")):
        owner: Any = found.owner
        if found.tower == "vision":
            parts = {"norm": owner.ln_pre, "centre": Centre(), "rotation": _rotation(found, recipe, _STREAM)}
            owner.ln_pre = nn.Sequential(OrderedDict(parts))
        for number, block in enumerate(found.blocks):
            attention = block.attn
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj, block.mlp.c_fc):
                add_bias(layer)
            block.ln_1, block.ln_2 = RmsNorm(block.ln_1.eps), RmsNorm(block.ln_2.eps)
            block.ls_1, block.ls_2 = nn.Identity(), nn.Identity()
            layers = dict(block.mlp.named_children())
            last = layers.pop("c_proj")
            layers |= {"rotation": _rotation(found, recipe, _FIRST_BLOCK + number), "c_proj": last}
            block.mlp = nn.Sequential(OrderedDict(layers))
        add_bias(found.head)
        setattr(owner, found.norm, RmsNorm(getattr(owner, found.norm).eps))


@torch.no_grad()
def rotate(bench: Workbench) -> None:
    """Rotate the weights of a model that :func:`add_rotations` prepared, in place.

    Conventions:
        The residual stream x becomes (x - mean x) Q. Its writers lose their mean and
        are rotated, so that LayerNorm becomes division by the root mean square; its
        readers take up LayerNorm's scale and shift and the inverse rotation. Between
        values and the output of attention every head is rotated, which costs nothing
        in use. Before ``mlp.c_proj``, and after ``ln_pre`` in a vision tower, a
        rotation stays in the model, in float. Weights are computed in float64. Signs
        follow from the recipe's seed, those in use are saved with the model.

    Source:
        Ashkboos et al., QuaRot, NeurIPS 2024 (arXiv 2404.00456); fusing LayerNorm:
        Ashkboos et al., SliceGPT (arXiv 2401.15024). Departures: the rotations before
        ``c_proj`` and of heads have random signs too, because the mean of GELU's
        output would otherwise gather in one channel; ``ln_pre`` is followed by a
        rotation in use, because its scale and shift stand before the stream; heads
        are not mixed with each other; queries and keys, whose product stays in float,
        are not rotated.
    """
    for tower in EACH_TOWER:
        if bench.recipe.quantizes(tower):
            _rotate_tower(stream(bench.model, tower), stream(bench.reference, tower), bench.recipe)
    bench.report(f"{bench.recipe.name}: residual stream, heads and MLPs rotated")


def _rotation(found: Stream, recipe: Recipe, place: int) -> Rotation:
    """The rotation of one place, the same each time it is asked for."""
    blocks = found.blocks
    size = blocks[0].attn.q_proj.in_features
    if place == _HEADS:
        size = blocks[0].attn.v_proj.out_features // blocks[0].attn.heads
    elif place >= _FIRST_BLOCK:
        size = blocks[place - _FIRST_BLOCK].mlp.c_proj.in_features
    device = blocks[0].attn.q_proj.weight.device
    return Rotation(size, (recipe.seed, EACH_TOWER.index(found.tower), place)).to(device)


def _rotate_tower(found: Stream, original: Stream, recipe: Recipe) -> None:
    turn, turn_head = _rotation(found, recipe, _STREAM), _rotation(found, recipe, _HEADS)
    if found.tower == "text":
        _turn_embeddings(found.owner, turn)
    for block, before in zip(found.blocks, original.blocks, strict=True):
        attention = block.attn
        _read(before.ln_1, (attention.q_proj, attention.k_proj, attention.v_proj), turn)
        _read(before.ln_2, (block.mlp.c_fc,), turn)
        _turn_heads(attention, turn_head)
        _put(block.mlp.c_proj, block.mlp.rotation(block.mlp.c_proj.weight.double()))
        _write(attention.out_proj, getattr(before, "ls_1", None), turn)
        _write(block.mlp.c_proj, getattr(before, "ls_2", None), turn)
    _read(getattr(original.owner, original.norm), (found.head,), turn)


def _turn_embeddings(owner: Any, turn: Rotation) -> None:
    embeddings = (owner.token_embedding.weight, owner.positional_embedding, getattr(owner, "cls_emb", None))
    for embedding in embeddings:
        if embedding is not None:
            embedding.copy_(turn(_centred(embedding.double())))


def _read(norm: nn.LayerNorm, layers: Sequence[nn.Linear], turn: Rotation) -> None:
    """Let Linears take in the stream after RMS normalisation in place of a LayerNorm's output."""
    for layer in layers:
        weight = layer.weight.double()
        bias = layer.bias.double() if norm.bias is None else layer.bias.double() + weight @ norm.bias.double()
        _put(layer, turn(weight if norm.weight is None else weight * norm.weight.double()), bias)


def _write(layer: nn.Linear, layer_scale: nn.Module | None, turn: Rotation) -> None:
    """Let a Linear add to the rotated stream what it and a LayerScale added to the stream."""
    gamma: Any = getattr(layer_scale, "gamma", 1.0)
    weight = turn(_centred(layer.weight.double().T * gamma)).T
    _put(layer, weight, None if layer.bias is None else turn(_centred(layer.bias.double() * gamma)))


def _turn_heads(attention: Any, turn: Rotation) -> None:
    value, out, heads = attention.v_proj, attention.out_proj, attention.heads
    turned = turn(value.weight.double().T.unflatten(1, (heads, -1))).flatten(1).T
    _put(value, turned, turn(value.bias.double().unflatten(0, (heads, -1))).flatten())
    _put(out, turn(out.weight.double().unflatten(1, (heads, -1))).flatten(1))


def _put(layer: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(dim=-1, keepdim=True)
