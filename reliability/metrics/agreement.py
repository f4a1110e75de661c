"""Agreement of the candidate with the reference, image by image."""

from __future__ import annotations

import math

import numpy as np

from reliability.metrics.answers import Answers, require_labels
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register
from reliability.types import F64

# Below exp(-746) a probability is 0 as a float64, and so is all it contributes.
_LEAST_LOG = -1000.0


@register("agreement", direction="lower", low=0.0, high=1.0, unit="fraction")
def flip_rate(reference: Answers, candidate: Answers) -> PerImage:
    """Share of images whose predicted class changes from reference to candidate.

    Args:
        reference_logits, candidate_logits: [N, C] of the two models on the same images.
        labels: [N], -1 for none; flips are counted whether or not they help.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        Equal logits go to the lowest class number, as in ``argmax``. Two models of equal
        accuracy can flip often, so this can move where accuracy does not.

    >>> flip_rate([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    return mean_of((reference.predicted != candidate.predicted).astype(np.float64))


@register(
    "agreement", direction="lower", low=0.0, high=1.0, unit="fraction", defined="every image has a label",
)  # fmt: skip
def negative_flip_rate(reference: Answers, candidate: Answers) -> PerImage:
    """Share of images that the reference gets right and the candidate wrong.

    Args:
        reference_logits, candidate_logits: [N, C] of the two models on the same images.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or a missing label.

    Conventions:
        A share of all images, not of those the reference gets right. The share that goes from
        wrong to right is this minus the loss of accuracy, so it needs no metric of its own.

    Source:
        Yan et al., Positive-Congruent Training, CVPR 2021. No departure.

    >>> negative_flip_rate([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    require_labels("negative_flip_rate", reference)
    return mean_of((reference.correct & ~candidate.correct).astype(np.float64))


@register(
    "agreement", direction="higher", low=0.0, high=1.0, unit="fraction",
    defined="every image has a label, and the reference is right on some",
)  # fmt: skip
def backward_trust_compatibility(reference: Answers, candidate: Answers) -> PerImage:
    """Share of the reference's right answers that the candidate keeps.

    Args:
        reference_logits, candidate_logits: [N, C] of the two models on the same images.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, a missing label, or a
            reference that is never right.

    Conventions:
        A resample that draws no right answer of the reference has no value (NaN).

    Source:
        Srivastava et al., An Empirical Analysis of Backward Compatibility in Machine Learning
        Systems, KDD 2020, after Bansal et al., AAAI 2019. No departure.

    >>> backward_trust_compatibility([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    require_labels("backward_trust_compatibility", reference)
    if not reference.correct.any():
        raise undefined(
            "backward_trust_compatibility", "reference_logits", "the reference has no right answer to keep",
            f"0 of {len(reference)} right", "check the order of the classes",
        )  # fmt: skip
    kept = np.column_stack([reference.correct & candidate.correct, reference.correct]).astype(np.float64)

    def finish(means: F64) -> F64:
        with np.errstate(invalid="ignore"):
            share: F64 = means[:, 0] / means[:, 1]
        return share

    return PerImage(kept, finish)


@register("agreement", direction="lower", low=0.0, high=math.log(2.0), unit="nats")
def js_divergence(reference: Answers, candidate: Answers) -> PerImage:
    """Mean Jensen-Shannon divergence of the two models' probabilities, in nats.

    Args:
        reference_logits, candidate_logits: [N, C] of the two models on the same images,
            after the logit scale.
        labels: [N], -1 for none; not used.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        The mean of both models' Kullback-Leibler divergence from their mean, natural
        logarithm: 0 for equal probabilities, ln 2 where the models share no class; not its
        square root, which some libraries return. From logits, with no logarithm of a
        probability and no difference of near-equal terms, so the divergence of nearly equal
        models keeps its digits and logits of any size are fine.

    Source:
        Lin, Divergence Measures Based on the Shannon Entropy, 1991. No departure.

    >>> js_divergence([[2000.0, 0.0]], [[0.0, 2000.0]], [-1])
    0.6931471805599453
    """
    divergence = np.empty(len(reference))
    for (rows, first), (_, second) in zip(reference.blocks(), candidate.blocks(), strict=True):
        divergence[rows] = _jensen_shannon(_log_probabilities(first), _log_probabilities(second))
    return mean_of(divergence)


def _log_probabilities(block: F64) -> F64:
    """Log-probabilities of a block of logits, written over it."""
    with np.errstate(over="ignore"):  # beyond the range of floats, minus infinity is right until it is cut
        block -= block.max(axis=1, keepdims=True)
    np.maximum(block, _LEAST_LOG, out=block)
    block -= np.log(np.exp(block).sum(axis=1, keepdims=True))
    return block


def _jensen_shannon(first: F64, second: F64) -> F64:
    """[n] divergences from log-probabilities [n, C].

    With half the gap, h = |log p - log q| / 2, a class contributes half of p + q times
    h tanh(h) - log cosh(h), a number from 0 to ln 2.
    """
    mass = np.exp(first) + np.exp(second)
    divergence: F64 = np.einsum("nc,nc->n", mass, _parting(np.abs(first - second) / 2.0)) / 2.0
    return divergence


def _parting(half: F64) -> F64:
    """h tanh(h) - log cosh(h) for h of 0 or more, by the form that does not cancel."""
    near = np.minimum(half, 1.0)
    rest = np.exp(-2.0 * half)
    close = near * np.tanh(near) - np.log1p(2.0 * np.sinh(near / 2.0) ** 2)
    far = math.log(2.0) - 2.0 * half * rest / (1.0 + rest) - np.log1p(rest)
    return np.where(half < 1.0, close, far)
