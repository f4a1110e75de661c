"""Selective classification: are the images a model is unsure of the ones it gets wrong?

Everywhere: a cutoff accepts every image at least as confident, so images tied in
confidence are accepted together and the order of rows cannot matter. The share
accepted is the coverage, the error rate among them the risk.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from reliability.metrics.ranked import I32, Ranked, corners, few_levels, rank_split
from reliability.metrics.registry import register
from reliability.types import F64

COVERAGE = 0.8
"""Where ``accuracy_at_coverage`` reads the curve: the model abstains on one image in five."""

RISK = Fraction(1, 20)
"""The error rate that ``coverage_at_risk`` allows."""


@register("selective", direction="lower", low=0.0, high=1.0, unit="fraction")
def aurc(confidence: F64, correct: NDArray[np.bool_]) -> Ranked:
    """Area under the risk-coverage curve: mean error rate over cutoffs on confidence.

    The mean over images of the error rate among all images at least as confident.

    Args:
        confidence: [N] higher = more confident, such as the largest probability.
        correct: [N] whether the answer is right; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        A cutoff accepts every image that reaches it, so images tied in confidence share
        one error rate and the order of rows cannot matter.

    Source:
        Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
        Departure: tied images count as one step, where the paper orders them one by one.

    >>> aurc([0.9, 0.6], [True, False])
    0.25
    """
    return rank_split(confidence, correct, _mean_risk)


def _mean_risk(right: I32, wrong: I32) -> F64:
    area: F64 = sum(_risks(*few) for few in few_levels(right, wrong)) / (right[-1] + wrong[-1])
    return area


def _risks(right: I32, wrong: I32) -> F64:
    """[B] error rates among all images at least as confident, summed over the images of some levels."""
    accepted = right + wrong
    # Cutoffs above the first drawn image accept nothing and carry no images either.
    risk = np.divide(wrong[1:], accepted[1:], out=np.zeros(accepted[1:].shape), where=accepted[1:] > 0)
    total: F64 = np.einsum("lb,lb->b", np.diff(accepted, axis=0), risk)
    return total


@register("selective", direction="lower", low=0.0, high=float(np.log(2.0)), unit="fraction")
def eaurc(confidence: F64, correct: NDArray[np.bool_]) -> Ranked:
    """Excess AURC: the area above that of a model whose wrong answers are its least confident ones.

    Args:
        confidence: [N] higher = more confident, such as the largest probability.
        correct: [N] whether the answer is right; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        AURC - (e + (1 - e) ln(1 - e)) at error rate e. The subtracted area is that of many
        images, so a perfect order of few images leaves a little more than 0. A model that is
        always right (e = 0) or always wrong (e = 1) has no order to get wrong: 0. At most the
        entropy of e in nats, so never above ln 2. Ties as in :func:`aurc`.

    Source:
        Geifman et al., Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers,
        ICLR 2019. Departure: ties, as in :func:`aurc`.

    >>> eaurc([0.9, 0.6], [True, True])
    0.0
    """
    return rank_split(confidence, correct, _excess_risk)


def _excess_risk(right: I32, wrong: I32) -> F64:
    error, kept = wrong[-1] / (right[-1] + wrong[-1]), right[-1] / (right[-1] + wrong[-1])
    excess: F64 = _mean_risk(right, wrong) - (error + xlogy(kept, kept))
    return excess


@register("selective", direction="lower", low=0.0, high=0.5, unit="fraction")
def augrc(confidence: F64, correct: NDArray[np.bool_]) -> Ranked:
    """Area under the generalised risk-coverage curve: mean share of wrong answers let through.

    The generalised risk of a cutoff is the share of all images that are accepted and wrong.

    Args:
        confidence: [N] higher = more confident, such as the largest probability.
        correct: [N] whether the answer is right; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        The trapezoid through the curve's points and (0, 0), where images tied in confidence
        make one straight piece. With accuracy a and the AUROC of confidence as a sign of right
        answers, that is exactly (1 - AUROC) a (1 - a) + (1 - a)**2 / 2.

    Source:
        Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification
        Systems, NeurIPS 2024. No departure.

    >>> augrc([0.9, 0.6], [True, False])
    0.125
    """
    return rank_split(confidence, correct, _mean_failures, corners)


def _mean_failures(right: I32, wrong: I32) -> F64:
    accepted = right[-1] + wrong[-1]
    area: F64 = sum(_doubled_failures(*few) for few in few_levels(right, wrong)) / (2.0 * accepted * accepted)
    return area


def _doubled_failures(right: I32, wrong: I32) -> F64:
    """[B] twice the trapezoids of wrong answers let through, over some levels."""
    entering = np.diff(right + wrong, axis=0)
    total: F64 = np.einsum("lb,lb->b", entering, wrong[1:] + wrong[:-1], dtype=np.float64)
    return total


@register("selective", direction="higher", low=0.0, high=1.0, unit="fraction")
def accuracy_at_coverage(confidence: F64, correct: NDArray[np.bool_]) -> Ranked:
    """Accuracy on the most confident 80 % of the images.

    Args:
        confidence: [N] higher = more confident, such as the largest probability.
        correct: [N] whether the answer is right; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        Exactly :data:`COVERAGE` of the images count, a fraction of an image included. Of the
        images tied at the cutoff so many enter as are needed, each with their mean accuracy:
        what a random choice among them would give on average.

    Source:
        Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
        Departure: ties and fractions, where others round up to whole images in row order.

    >>> accuracy_at_coverage([0.9, 0.8, 0.7, 0.6, 0.5], [1, 1, 1, 0, 0])
    0.75
    """
    return rank_split(confidence, correct, _accuracy_of_most_confident, corners)


def _accuracy_of_most_confident(right: I32, wrong: I32) -> F64:
    accepted, each = right + wrong, np.arange(right.shape[1])
    wanted = COVERAGE * accepted[-1]
    # The first level that brings as many as wanted; the one before it brings too few.
    last = (accepted < wanted).sum(axis=0)
    before, entering = accepted[last - 1, each], right[last, each] - right[last - 1, each]
    share = (wanted - before) / (accepted[last, each] - before)
    accuracy: F64 = (right[last - 1, each] + share * entering) / wanted
    return accuracy


@register("selective", direction="higher", low=0.0, high=1.0, unit="fraction")
def coverage_at_risk(confidence: F64, correct: NDArray[np.bool_]) -> Ranked:
    """Largest share of images that can be accepted with at most 5 % of them wrong.

    Args:
        confidence: [N] higher = more confident, such as the largest probability.
        correct: [N] whether the answer is right; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input.

    Conventions:
        The largest coverage over the observed cutoffs whose error rate is at most
        :data:`RISK`, compared in whole numbers; smaller coverages may exceed it. 0 if none
        keeps to it: such a model can only abstain. One image can move it far, so give it
        many images or a wide margin.

    Source:
        Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
        Departure: the observed rate, where the paper guarantees the true one by a bound.

    >>> coverage_at_risk([0.9, 0.8, 0.7], [True, True, False])
    0.6666666666666666
    """
    return rank_split(confidence, correct, _widest_coverage)


def _widest_coverage(right: I32, wrong: I32) -> F64:
    widest = np.max([_most_accepted(*few) for few in few_levels(right, wrong)], axis=0)
    coverage: F64 = widest / (right[-1] + wrong[-1])
    return coverage


def _most_accepted(right: I32, wrong: I32) -> I32:
    """[B] images that the widest of some cutoffs accepts at the allowed risk, 0 if none keeps to it."""
    accepted = right + wrong
    safe = RISK.denominator * wrong.astype(np.int64) <= RISK.numerator * accepted.astype(np.int64)
    most: I32 = np.where(safe, accepted, 0).max(axis=0)
    return most
