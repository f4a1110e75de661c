"""Make every matrix product of a CLIP's towers a Linear or Conv2d, without changing what it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reliability.errors import QuantizationError
from reliability.quant.explicit import Projection, SplitAttention, SplitAttentionPool, linear_from
from reliability.quant.finite import require_finite_activations
from reliability.quant.recipe import Tower, Towers, includes
from reliability.quant.towers import encode, replace_module, tower_modules

PARITY = 1e-5
"""Largest absolute error after surgery, as a share of the output's largest magnitude."""


def split_attention(clip: nn.Module, towers: Towers = "both") -> nn.Module:
    """Make the towers' matrix products explicit, in place.

    ``nn.MultiheadAttention`` and CLIP's attention pooling get separate Linears,
    biases that timm adds beside a Linear become its own, bare projection matrices
    become Linears, and batch normalisation of a ResNet with attention pooling is
    folded into its convolutions.

    Args:
        clip: A model in eval mode with a ``visual`` tower; give a copy.
        towers: Which to change; the other one stays bit for bit as it was.

    Returns:
        The same module.

    Conventions:
        Works by structure, so any tower whose other products already are Linear
        or Conv2d layers needs no rule here. What is missed is found by
        :func:`reliability.quant.coverage.coverage`.
    """
    for name, module in list(tower_modules(clip, towers).items()):
        if isinstance(module, nn.MultiheadAttention):
            replace_module(clip, name, SplitAttention(module))
        elif _is_attention_pool(module):
            _fold_batch_norms(clip.get_submodule(name.rpartition(".")[0]))
            replace_module(clip, name, SplitAttentionPool(module))
        elif _has_biases_beside(module):
            _join_biases(module)
    if includes(towers, "vision"):
        _wrap_projection(clip.get_submodule("visual"), "proj")
    if includes(towers, "text"):
        _wrap_projection(clip, "text_projection")
        _wrap_projection(getattr(clip, "text", clip), "text_projection")
    return clip


def check_parity(before: nn.Module, after: nn.Module, images: Tensor, tokens: Tensor) -> None:
    """Require that two models embed the same images and texts alike.

    Args:
        before, after: CLIPs in eval mode.
        images: [N, 3, H, W] preprocessed.
        tokens: [N, L].

    Raises:
        QuantizationError: The largest absolute error exceeds 1e-5 of the output's
            largest magnitude, or an output is not finite.
    """
    inputs: dict[Tower, Tensor] = {"vision": images, "text": tokens}
    with torch.no_grad():
        for tower, batch in inputs.items():
            expected, got = encode(before, tower, batch), encode(after, tower, batch)
            magnitude, error = float(expected.abs().max()), float((expected - got).abs().max())
            if not error <= PARITY * magnitude:
                require_finite_activations(before, images, tokens)
                raise _unlike(tower, error, magnitude)


def _unlike(tower: str, error: float, magnitude: float) -> QuantizationError:
    return QuantizationError(
        where=f"{tower} tower",
        what=f"the rewritten model's embeddings differ by more than {PARITY:g} of their magnitude",
        got=f"largest error {error:.3g}, largest magnitude {magnitude:.3g}",
        next="the tower has a structure that is read wrongly here: quantize the other tower, or report its type",
    )


def _is_attention_pool(module: nn.Module) -> bool:
    names = ("q_proj", "k_proj", "v_proj", "c_proj")
    linears = all(isinstance(getattr(module, name, None), nn.Linear) for name in names)
    return linears and hasattr(module, "positional_embedding") and not isinstance(module, SplitAttentionPool)


def _has_biases_beside(module: Any) -> bool:
    """Whether this is timm's attention (BEiT, EVA) whose packed Linear is not called, its biases standing beside it."""
    packed, biases = getattr(module, "qkv", None), [getattr(module, f"{part}_bias", None) for part in "qkv"]
    return isinstance(packed, nn.Linear) and packed.bias is None and all(isinstance(b, Tensor) for b in biases)


def _join_biases(attention: Any) -> None:
    """Give the packed Linear its biases; without them beside it, timm's own code calls it."""
    biases = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
    attention.qkv = linear_from(attention.qkv.weight, biases)
    attention.q_bias = attention.k_bias = attention.v_bias = None


def _wrap_projection(owner: nn.Module, name: str) -> None:
    """Turn a bare [in, out] parameter into a Projection; anything else is left as it is."""
    matrix = owner._parameters.get(name)
    if matrix is None or matrix.ndim != 2:
        return
    delattr(owner, name)
    setattr(owner, name, Projection(matrix))


def _fold_batch_norms(tower: nn.Module) -> None:
    """Fold ``bn1`` into ``conv1`` and so on, and in a Sequential each norm into the convolution before it."""
    for module in list(tower.modules()):
        children = dict(module.named_children())
        pairs = [(name, name.replace("conv", "bn")) for name in children if name.startswith("conv")]
        if isinstance(module, nn.Sequential):
            pairs = list(zip(children, list(children)[1:], strict=False))
        for conv, norm in pairs:
            _fold(module, conv, norm)


def _fold(owner: nn.Module, conv_name: str, norm_name: str) -> None:
    conv, norm = owner._modules[conv_name], owner._modules.get(norm_name)
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        setattr(owner, conv_name, fuse_conv_bn_eval(conv, norm))
        setattr(owner, norm_name, nn.Identity())
