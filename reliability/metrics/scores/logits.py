"""Scores of the logits, or of raw cosines as if they were logits."""

from __future__ import annotations

import numpy as np

from reliability.metrics.probabilities import confidence
from reliability.metrics.scores.registry import score
from reliability.types import F64

GEN_GAMMA = 0.1
GEN_CLASSES = 100


@score
def mcm(cosines: F64) -> F64:
    """Maximum concept matching: largest softmax probability of the raw cosines.

    Args:
        cosines: [N, C].
        logit_scale: Not used.

    Raises:
        UndefinedMetricError: Empty or non-finite cosines, or values no cosine can take.

    Conventions:
        Temperature 1 on raw cosines, so scores lie just above 1 / C and only their order has meaning.

    Source:
        Ming et al., Delving into Out-of-Distribution Detection with Vision-Language
        Representations, NeurIPS 2022. No departure.

    >>> mcm([[1.0, 0.0], [0.0, 0.0]], 100.0).round(4).tolist()
    [0.7311, 0.5]
    """
    return confidence(cosines)


@score
def msp(cosines: F64, logit_scale: float) -> F64:
    """Maximum softmax probability of the logits: the confidence.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        With a large scale many images reach exactly 1 and tie; the metrics count ties.
        ``entropy`` orders such images.

    Source:
        Hendrycks & Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks, ICLR 2017. No departure.

    >>> msp([[1.0, 0.0], [0.0, 0.0]], 2.0).round(4).tolist()
    [0.8808, 0.5]
    """
    return confidence(logit_scale * cosines)


@score
def max_logit(cosines: F64) -> F64:
    """Largest logit, given as a cosine.

    Args:
        cosines: [N, C].
        logit_scale: Not used.

    Raises:
        UndefinedMetricError: Empty or non-finite cosines, or values no cosine can take.

    Conventions:
        None beyond the definition.

    Source:
        Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings,
        ICML 2022. Departure: not multiplied by the logit scale, which cannot change the ranking.

    >>> max_logit([[0.25, 0.5]], 100.0).tolist()
    [0.5]
    """
    largest: F64 = cosines.max(axis=1)
    return largest


@score
def energy(cosines: F64, logit_scale: float) -> F64:
    """Negative free energy of the logits: their log-sum-exp at temperature 1.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        In nats, between the largest logit and that plus log C.

    Source:
        Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.
        Departure: the sign is such that higher means more in-distribution.

    >>> energy([[0.0, 0.0]], 100.0).round(4).tolist()
    [0.6931]
    """
    return log_sum_exp(logit_scale * cosines)


@score
def entropy(cosines: F64, logit_scale: float) -> F64:
    """Negative entropy of the predicted probabilities, in nats.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        In [-log C, 0]. Exact to rounding however sure the model is: two images of confidence
        1 - 1e-30 and 1 - 1e-40, both 1 in floating point, still differ.

    Source:
        Chan et al., Entropy Maximization and Meta Classification for Out-of-Distribution
        Detection in Semantic Segmentation, ICCV 2021, whose score it is.
        Departure: the sign is such that higher means more in-distribution.

    >>> entropy([[0.0, 0.0], [1.0, -1.0]], 50.0).tolist()
    [-0.6931471805599453, -3.757276735781045e-42]
    """
    log_p, _ = _log_probabilities(logit_scale * cosines)
    negative: F64 = np.einsum("nc,nc->n", np.exp(log_p), log_p)
    return negative


@score
def margin(cosines: F64, logit_scale: float) -> F64:
    """Largest minus second largest predicted probability.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        0 where two classes tie for the largest. With a large scale many images reach exactly 1.

    Source:
        Scheffer et al., Active Hidden Markov Models for Information Extraction, IDA 2001,
        where a small margin asks for a label. Departure: read as a confidence.

    >>> margin([[0.5, 0.5], [1.0, 0.0]], 2.0).round(4).tolist()
    [0.0, 0.7616]
    """
    logits = logit_scale * cosines
    two = np.partition(logits, -2, axis=1)[:, -2:]
    # p1 - p2 = p1 (1 - exp(l2 - l1)), which does not cancel where the two are close.
    return confidence(logits) * np.abs(np.expm1(two[:, 0] - two[:, 1]))


@score
def gen(cosines: F64, logit_scale: float) -> F64:
    """Negative generalised entropy of the 100 largest probabilities, at exponent 0.1.

    Minus the sum of (p (1 - p)) ** 0.1.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        All classes enter where there are at most 100. So small an exponent weighs how
        probabilities near 0 and 1 differ, so both p and 1 - p are kept exact: a model that
        gives its first choice all but 1e-20 counts 1e-2 for it, where 1 - p computed from a
        rounded p counts 0.

    Source:
        Liu et al., GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection,
        CVPR 2023, with its gamma 0.1 and M 100. No departure.

    >>> gen([[0.0, 0.0]], 1.0).round(4).tolist()
    [-1.7411]
    """
    log_p, log_miss = _log_probabilities(logit_scale * cosines)
    rows, top = np.arange(len(log_p)), log_p.argmax(axis=1)
    others = np.exp(log_p)
    others[rows, top] = 0.0
    log_complement = np.log1p(-others)
    log_complement[rows, top] = log_miss
    terms = np.exp(GEN_GAMMA * (log_p + log_complement))
    if terms.shape[1] > GEN_CLASSES:
        terms = np.take_along_axis(terms, np.argpartition(log_p, -GEN_CLASSES, axis=1)[:, -GEN_CLASSES:], axis=1)
    negative: F64 = -terms.sum(axis=1)
    return negative


def log_sum_exp(logits: F64) -> F64:
    """[N] logarithm of the summed exponentials of [N, C] logits, which cannot overflow."""
    # It is the largest logit minus the log of the largest probability.
    value: F64 = logits.max(axis=1) - np.log(confidence(logits))
    return value


def _log_probabilities(logits: F64) -> tuple[F64, F64]:
    """log p [N, C], and log (1 - p) [N] of the largest p; both to full relative precision."""
    rows, top = np.arange(len(logits)), logits.argmax(axis=1)
    below = logits - logits[rows, top][:, None]
    others = below.copy()
    others[rows, top] = -np.inf
    second = others.max(axis=1)
    log_rest = second + np.log(np.exp(others - second[:, None]).sum(axis=1))
    log_total = np.logaddexp(0.0, log_rest)
    below -= log_total[:, None]
    return below, log_rest - log_total
