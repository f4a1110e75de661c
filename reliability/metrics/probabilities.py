"""Probabilities and their logarithms from logits, safe for logits of any size."""

from __future__ import annotations

import numpy as np

from reliability.types import F64


def log_softmax(logits: F64) -> F64:
    """[N, C] log-probabilities; shifted by the row's maximum, so nothing overflows."""
    below = _below_top(logits)
    below -= np.log(np.exp(below).sum(axis=1, keepdims=True))
    return below


def softmax(logits: F64) -> F64:
    """[N, C] probabilities."""
    weights: F64 = np.exp(_below_top(logits))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def confidence(logits: F64) -> F64:
    """[N] the largest probability, in [1 / C, 1]: never above 1, even by rounding."""
    # The largest term is exp(0) = 1, so this is its share without ever forming the others' shares.
    total: F64 = np.exp(_below_top(logits)).sum(axis=1)
    return 1.0 / total


def surprises(logits: F64) -> F64:
    """[N, C] minus log-probability of every class, in nats; that of a class all but certain keeps its digits."""
    below = _below_top(logits)
    terms = np.exp(below)
    terms[np.arange(len(logits)), logits.argmax(axis=1)] = 0.0
    # As for one label in `answers`, operation by operation: a label must equal its own class here.
    surprise: F64 = np.log1p(terms.sum(axis=1))[:, None] - below
    return surprise


def tails(logits: F64) -> F64:
    """[N, C] for each rank, 0 = likeliest, the probability of all classes that follow; it keeps its digits near 0."""
    sums = np.cumsum(np.exp(_below_top(np.sort(logits, axis=1))), axis=1)
    after = np.zeros_like(sums)
    after[:, 1:] = sums[:, :-1] / sums[:, -1:]
    return after[:, ::-1]


def _below_top(logits: F64) -> F64:
    """[N, C] logits less the largest of the row; minus infinity where that is beyond the range of floats."""
    with np.errstate(over="ignore"):
        below: F64 = logits - logits.max(axis=1, keepdims=True)
    return below
