"""Separation of familiar (ID) from unfamiliar (OOD) images by a score.

Everywhere: a higher score means more in-distribution, scores are ranked as they
are and never transformed, and equal scores form one level.
"""

from __future__ import annotations

import numpy as np

from reliability.metrics.prepared import Apart, mean_of
from reliability.metrics.ranked import (
    I32,
    Ranked,
    above_negatives,
    corners,
    from_the_other_end,
    rank_separation,
    with_positives,
)
from reliability.metrics.registry import register
from reliability.types import F64


@register("separation", direction="higher", low=0.0, high=1.0, unit="fraction")
def auroc(scores_id: F64, scores_ood: F64) -> Ranked:
    """Area under the ROC curve: how often a familiar image outscores an unfamiliar one.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        A tie counts one half. The same whichever side is called positive.
        Counts are integers, so the value is exact up to one division.

    Source:
        Hanley & McNeil, The Meaning and Use of the Area under a Receiver Operating
        Characteristic Curve, 1982. No departure.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    return rank_separation(scores_id, scores_ood, _area, corners)


def _area(positive: I32, negative: I32) -> F64:
    # Each negative outscores none of the positives above its level, and ties with those on it.
    doubled = np.einsum("lb,lb->b", np.diff(negative, axis=0), positive[1:] + positive[:-1], dtype=np.float64)
    area: F64 = doubled / (2.0 * positive[-1] * negative[-1])
    return area


@register("separation", direction="lower", low=0.0, high=1.0, unit="fraction")
def fpr95(scores_id: F64, scores_ood: F64) -> Ranked:
    """Share of unfamiliar images accepted at the first cutoff that accepts 95 % of familiar ones.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        ID is positive, as in papers on CLIP and OOD. Cutoffs are the observed scores,
        from the highest down; an image is accepted if it scores at or above the cutoff;
        the first cutoff with TPR_ID >= 0.95 is taken, without interpolation. Benchmarks
        that call OOD positive report another number on the same scores:
        :func:`fpr95_ood_positive`.

    Source:
        Ming et al., Delving into Out-of-Distribution Detection with Vision-Language
        Representations, NeurIPS 2022. No departure.

    >>> fpr95([4.0, 3.0, 2.0], [2.5, 2.0, 1.0])
    0.6666666666666666
    """
    return rank_separation(scores_id, scores_ood, _false_positives_at_95, corners)


def _false_positives_at_95(positive: I32, negative: I32) -> F64:
    # In whole numbers, so that a count of exactly 95 % is enough at any n.
    needed = -(-19 * positive[-1].astype(np.int64) // 20)
    level = (positive < needed).sum(axis=0)
    rate: F64 = negative[level, np.arange(len(level))] / negative[-1]
    return rate


@register("separation", direction="lower", low=0.0, high=1.0, unit="fraction")
def fpr95_ood_positive(scores_id: F64, scores_ood: F64) -> Ranked:
    """Share of familiar images flagged at the first cutoff that flags 95 % of unfamiliar ones.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        OOD is positive. Cutoffs are the observed scores, from the lowest up; an image is
        flagged if it scores at or below the cutoff; the first cutoff with TPR_OOD >= 0.95
        is taken, without interpolation. :func:`fpr95` asks the opposite question.

    Source:
        Zhang et al., OpenOOD v1.5, 2023. Departure: every observed score is a cutoff. Its
        ROC curve drops those on a straight piece, and so overshoots where scores tie evenly.

    >>> fpr95_ood_positive([4.0, 3.0, 2.0], [2.5, 2.0, 1.0])
    0.3333333333333333
    """
    return rank_separation(scores_id, scores_ood, from_the_other_end(_false_positives_at_95), corners)


@register("separation", direction="lower", low=0.0, high=0.5, unit="fraction")
def detection_error(scores_id: F64, scores_ood: F64) -> Ranked:
    """Least mean of miss rate and false alarm rate over all cutoffs.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        The minimum over cutoffs of (FNR + FPR) / 2: both sides weigh one half, however many
        images they hold, and it does not matter which is called positive. Accepting no image
        is a cutoff too, so no score does worse than one half, not even an inverted one. A
        minimum over cutoffs chosen on the same images flatters a little.

    Source:
        Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples,
        NeurIPS 2018, as one minus their detection accuracy. No departure. The detection error
        of Liang et al., ODIN, ICLR 2018, is at a true positive rate of 95 % instead.

    >>> detection_error([3.0, 2.0], [2.0, 1.0])
    0.25
    """
    return rank_separation(scores_id, scores_ood, _least_error, corners)


def _least_error(positive: I32, negative: I32) -> F64:
    accepted, kept_out = positive.astype(np.int64), (negative[-1] - negative).astype(np.int64)
    # In whole numbers: (TPR + TNR) * N * M.
    right = (accepted * negative[-1] + kept_out * positive[-1]).max(axis=0)
    certain = 2.0 * positive[-1] * negative[-1]
    error: F64 = (certain - right) / certain
    return error


@register("separation", direction="higher", low=0.0, high=1.0, unit="fraction")
def aupr_in(scores_id: F64, scores_ood: F64) -> Ranked:
    """Average precision with familiar images as the positive class.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        A sum of precision over steps in recall, not the trapezoid, which is optimistic.
        Chance level is the share of familiar images, not one half.

    Source:
        Davis & Goadrich, The Relationship between Precision-Recall and ROC Curves, ICML 2006.
        Departure: steps at the observed cutoffs, where the paper interpolates counts between them.

    >>> aupr_in([0.9, 0.4], [0.5])
    0.8333333333333333
    """
    return rank_separation(scores_id, scores_ood, _average_precision, with_positives)


@register("separation", direction="higher", low=0.0, high=1.0, unit="fraction")
def aupr_out(scores_id: F64, scores_ood: F64) -> Ranked:
    """Average precision with unfamiliar images as the positive class.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        As :func:`aupr_in` with the sides exchanged and the scores negated.

    >>> aupr_out([0.9, 0.4], [0.5])
    0.5
    """
    return rank_separation(scores_id, scores_ood, from_the_other_end(_average_precision), above_negatives)


def _average_precision(positive: I32, negative: I32) -> F64:
    found = positive[1:] + negative[1:]
    # Levels above the first drawn image have found nothing; no positive is gained there.
    precision = np.divide(positive[1:], found, out=np.zeros(found.shape), where=found > 0)
    area: F64 = np.einsum("lb,lb->b", np.diff(positive, axis=0), precision) / positive[-1]
    return area


@register("separation", direction="lower", low=0.0, high=1.0, unit="fraction", depends_on_size=True)
def autc(scores_id: F64, scores_ood: F64) -> Apart:
    """Area under the threshold curves: mean error rate over all cutoffs on the scaled score.

    The mean of the areas under the false positive rate and the false negative rate as
    functions of the cutoff. It asks how far apart the two sides are, not only in which order.

    Args:
        scores_id: [N] scores of familiar images, higher = more in-distribution.
        scores_ood: [M] scores of unfamiliar images.

    Raises:
        UndefinedMetricError: An empty side, a non-finite score, or one value for every image.

    Conventions:
        The cutoff runs over the joint range of both sides, [lowest, highest score], and no
        score is bent: on that scale the area under the miss rate is the mean of the familiar
        scores' distances from the top, and the area under the false alarm rate the mean of
        the unfamiliar scores, so the value is exact and needs no grid. Resamples keep the
        range of the images as they are, because two images set it: limits hold for that
        range. One outlier changes the scale of all others; a bound on a score without a
        natural range watches the outliers.

    Source:
        Humblot-Renaux et al., Beyond AUROC & co. for Evaluating Out-of-Distribution Detection
        Performance, CVPR Workshops 2023. Departure: the paper takes scores in [0, 1] as given
        and joins the observed cutoffs by straight lines; here the curves are the steps they are.

    >>> autc([1.0, 0.75], [0.25, 0.0])
    0.125
    """
    inside, outside = _to_unit_range(scores_id, scores_ood)
    return Apart((mean_of(inside), mean_of(outside)), lambda high, low: ((1.0 - high) + low) / 2.0)


def _to_unit_range(first: F64, second: F64) -> tuple[F64, F64]:
    low, high = min(first.min(), second.min()), max(first.max(), second.max())
    with np.errstate(over="ignore"):
        if np.isinf(high - low):
            return _to_unit_range(first / 2.0, second / 2.0)
    return (first - low) / (high - low), (second - low) / (high - low)
