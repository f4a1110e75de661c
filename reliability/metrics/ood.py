"""Separation of familiar (ID) from unfamiliar (OOD) images by a score.

Everywhere: a higher score means more in-distribution, scores are ranked as they
are and never transformed, and equal scores form one level.
"""

from __future__ import annotations

import numpy as np

from reliability.metrics.prepared import I32, Ranked, rank_separation
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

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    return rank_separation(scores_id, scores_ood, _area, corners=True)


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
        that call OOD positive (OpenOOD) report another number on the same scores.

    >>> fpr95([4.0, 3.0, 2.0], [2.5, 2.0, 1.0])
    0.6666666666666666
    """
    return rank_separation(scores_id, scores_ood, _false_positives_at_95, corners=True)


def _false_positives_at_95(positive: I32, negative: I32) -> F64:
    # In whole numbers, so that a count of exactly 95 % is enough at any n.
    needed = -(-19 * positive[-1].astype(np.int64) // 20)
    level = (positive < needed).sum(axis=0)
    rate: F64 = negative[level, np.arange(len(level))] / negative[-1]
    return rate


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

    >>> aupr_in([0.9, 0.4], [0.5])
    0.8333333333333333
    """
    return rank_separation(scores_id, scores_ood, _average_precision)


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
    return rank_separation(-scores_ood, -scores_id, _average_precision, swapped=True)


def _average_precision(positive: I32, negative: I32) -> F64:
    found = positive[1:] + negative[1:]
    # Levels above the first drawn image have found nothing; no positive is gained there.
    precision = np.divide(positive[1:], found, out=np.zeros(found.shape), where=found > 0)
    area: F64 = np.einsum("lb,lb->b", np.diff(positive, axis=0), precision) / positive[-1]
    return area
