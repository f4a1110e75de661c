"""Probabilities and their logarithms from logits, safe for logits of any size."""

from __future__ import annotations

import numpy as np

from reliability.types import F64


def log_softmax(logits: F64) -> F64:
    """[N, C] log-probabilities; shifted by the row's maximum, so nothing overflows."""
    shifted: F64 = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    shifted -= log_sum
    return shifted


def softmax(logits: F64) -> F64:
    """[N, C] probabilities."""
    weights: F64 = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def confidence(logits: F64) -> F64:
    """[N] the largest probability, in [1 / C, 1]: never above 1, even by rounding."""
    # The largest term is exp(0) = 1, so this is its share without ever forming the others' shares.
    total: F64 = np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    return 1.0 / total
