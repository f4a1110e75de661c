"""Attention and projections whose matrix products are ordinary Linear layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError


def linear_from(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A Linear that holds copies of a weight [out, in] and a bias [out]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


class Projection(nn.Module):
    """A bare projection matrix as a Linear that ``pooled @ tower.proj`` really calls.

    open_clip multiplies by the attribute itself. A tensor hands ``@`` with a
    stranger on to the stranger's ``__rmatmul__``, which is the forward pass here,
    so the tower's own code runs unchanged and hooks see the layer.

    Args:
        matrix: [in, out], as open_clip stores it.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.linear = linear_from(matrix.T, None)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return self.linear(x)  # type: ignore[no-any-return]

    def __rmatmul__(self, x: Tensor) -> Tensor:
        return self(x)  # type: ignore[no-any-return]


class FusedProducts(nn.Module):
    """Attention's two products, query-key and probability-value, as one call in float."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """[B, H, L, d], [B, H, S, d], [B, H, S, e] to [B, H, L, e]; ``bias`` as torch's own takes it."""
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class SplitAttention(nn.Module):
    """``nn.MultiheadAttention`` with separate q, k, v and out Linears.

    Args:
        attention: What it replaces; weights are copied.

    Raises:
        QuantizationError: It appends bias or zero keys, which no CLIP does.

    Conventions:
        For evaluation: dropout is never applied. Attention weights are never
        returned. ``attn_mask`` is additive, or boolean with True for blocked, of
        shape [L, S] or [B * heads, L, S], as in ``nn.MultiheadAttention``.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        if attention.bias_k is not None or attention.add_zero_attn:
            raise QuantizationError(
                where="nn.MultiheadAttention",
                what="attention with appended bias or zero keys cannot be split",
                next="use a model without add_bias_kv and add_zero_attn",
            )
        self.heads, self.batch_first = attention.num_heads, attention.batch_first
        weights = _input_weights(attention)
        bias = attention.in_proj_bias
        biases = (None, None, None) if bias is None else bias.chunk(3)
        self.q_proj, self.k_proj, self.v_proj = (linear_from(w, b) for w, b in zip(weights, biases, strict=True))
        self.out_proj = linear_from(attention.out_proj.weight, attention.out_proj.bias)
        self.products: nn.Module = FusedProducts()

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Attend; [B, L, D] with ``batch_first``, else [L, B, D], in and out."""
        del need_weights  # part of the signature that open_clip calls
        q, k, v = (self._to_heads(t) for t in (self.q_proj(query), self.k_proj(key), self.v_proj(value)))
        mixed = self.products(q, k, v, _attention_bias(attn_mask, q.shape[0]))
        return self.out_proj(self._from_heads(mixed)), None

    def _to_heads(self, x: Tensor) -> Tensor:
        split = x.reshape(*x.shape[:2], self.heads, -1)
        return split.transpose(1, 2) if self.batch_first else split.permute(1, 2, 0, 3)

    def _from_heads(self, x: Tensor) -> Tensor:
        tokens = x.transpose(1, 2) if self.batch_first else x.permute(2, 0, 1, 3)
        return tokens.flatten(2)


class SplitAttentionPool(nn.Module):
    """CLIP's attention pooling with its four Linears really called.

    Args:
        pool: open_clip's ``AttentionPool2d``; its parameters are shared.

    Conventions:
        Only the mean token asks: the other queries do not reach the output, so
        computing them would cost time and widen the query's range.
    """

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.positional_embedding = pool.positional_embedding
        self.q_proj, self.k_proj, self.v_proj, self.c_proj = pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj
        self.heads = pool.num_heads
        self.products: nn.Module = FusedProducts()

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, D]."""
        grid = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([grid.mean(dim=1, keepdim=True), grid], dim=1) + self.positional_embedding
        q, k, v = (
            projected.reshape(*projected.shape[:2], self.heads, -1).transpose(1, 2)
            for projected in (self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens))
        )
        pooled = self.products(q, k, v, None).transpose(1, 2).flatten(1)
        return self.c_proj(pooled)  # type: ignore[no-any-return]


def _input_weights(attention: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    if attention.in_proj_weight is not None:
        return attention.in_proj_weight.chunk(3)
    return attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight


def _attention_bias(mask: Tensor | None, batch: int) -> Tensor | None:
    """A mask in ``nn.MultiheadAttention``'s terms, in ``scaled_dot_product_attention``'s."""
    if mask is None:
        return None
    allowed = ~mask if mask.dtype == torch.bool else mask
    return allowed.reshape(batch, -1, *mask.shape[1:]) if mask.ndim == 3 else allowed
