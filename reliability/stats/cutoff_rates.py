"""Limits of the harm in a false-positive rate at the cutoff that keeps a share of the familiar images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.asymptotic import read_vector
from reliability.stats.evidence import NormalEvidence
from reliability.types import F64

# Hall and Sheather's bandwidth has a level in it; of the estimate of a slope there is only one.
_BANDWIDTH_LEVEL = 0.95


def false_positive_harm(
    reference_id: ArrayLike,
    reference_ood: ArrayLike,
    candidate_id: ArrayLike,
    candidate_ood: ArrayLike,
    percent: int = 95,
) -> NormalEvidence:
    """Evidence on the harm in the false-positive rate at a true-positive rate of ``percent``.

    The rate's error has two parts: which unfamiliar images lie above the cutoff, and where
    the familiar ones put it. The second moves the rate by the slope of the ROC curve there.
    Both are means over images, so what two models have in common cancels image by image.

    Args:
        reference_id, candidate_id: [N] scores of the same familiar images, in one order;
            higher = more in-distribution.
        reference_ood, candidate_ood: [M] scores of the same unfamiliar images, in one order.
        percent: Of familiar images to accept, 1 to 99.

    Raises:
        UndefinedMetricError: Numbers that are not finite, fewer than 20 images in a set, or so
            many ties that the ROC curve has no slope at the cutoff.
        UsageError: Different images, or a percentage outside 1..99.

    Conventions:
        Cutoffs as in ``fpr95``: the first observed score, from the highest down, that accepts
        ``percent`` of the familiar images. Each part's sum of squares is at least that of one
        image, since no change among few images does not make two models equal; equal scores
        give a certainty of 0. Percentile limits of this metric cover far too often and basic
        ones too seldom, because resamples repeat the few images next to the cutoff.

    Source:
        Hsieh & Turnbull, Nonparametric and semiparametric estimation of the receiver operating
        characteristic curve, 1996, for the variance; Hall & Sheather, On the distribution of a
        Studentized quantile, 1988, for the width over which the slope is taken. Departure: the
        slope is a difference quotient of the empirical curve, and two models are paired.
    """
    if not 1 <= percent <= 99:
        raise UsageError(where="false_positive_harm: percent", what="it lies in 1..99", got=percent, next="pass 95")
    old = _point("reference", reference_id, reference_ood, percent)
    new = _point("candidate", candidate_id, candidate_ood, percent)
    if old.scores[0].shape != new.scores[0].shape or old.scores[1].shape != new.scores[1].shape:
        raise UsageError(
            where="false_positive_harm",
            what="both models need the same images",
            got=f"{[len(s) for s in old.scores]} and {[len(s) for s in new.scores]}",
            next="align them",
        )
    harm = new.rate - old.rate
    if all(np.array_equal(a, b) for a, b in zip(old.scores, new.scores, strict=True)):
        return NormalEvidence(harm, 0.0)
    slopes = max(old.slope, new.slope)
    familiar = _squares(new.slope * new.accepts[0] - old.slope * old.accepts[0], slopes)
    unfamiliar = _squares(new.accepts[1].astype(np.float64) - old.accepts[1], 1.0)
    return NormalEvidence(harm, math.sqrt(familiar + unfamiliar))


@dataclass(frozen=True)
class _Point:
    """A model's point of the ROC curve; pairs hold familiar and unfamiliar images.

    Attributes:
        rate: False-positive rate.
        slope: Change of that rate per change of the true-positive rate.
        scores, accepts: Of each image.
    """

    rate: float
    slope: float
    scores: tuple[F64, F64]
    accepts: tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _point(model: str, scores_id: ArrayLike, scores_ood: ArrayLike, percent: int) -> _Point:
    inside = read_vector(f"false_positive_harm: {model}_id", scores_id, 20)
    outside = read_vector(f"false_positive_harm: {model}_ood", scores_ood, 20)
    needed = -(-percent * len(inside) // 100)
    cutoff = _cutoff(inside, needed)
    accepts = (inside >= cutoff, outside >= cutoff)
    step = math.ceil(_bandwidth(len(inside), percent / 100.0) * len(inside))
    ends = [_cutoff(inside, min(max(count, 1), len(inside))) for count in (needed - step, needed + step)]
    (low_true, high_true), (low_false, high_false) = ([(s >= end).mean() for end in ends] for s in (inside, outside))
    if high_true == low_true:
        raise UndefinedMetricError(
            where=f"false_positive_harm: {model}_id",
            what="no limits: ties leave the ROC curve without a slope at the cutoff",
            got=f"{(inside == cutoff).sum()} of {len(inside)} familiar images have the cutoff's score",
            next="look for saturated or rounded scores, or use another score",
        )
    slope = float((high_false - low_false) / (high_true - low_true))
    return _Point(float(accepts[1].mean()), slope, (inside, outside), accepts)


def _cutoff(scores: F64, accepted: int) -> float:
    """The highest cutoff that accepts so many."""
    return float(np.partition(scores, len(scores) - accepted)[len(scores) - accepted])


def _bandwidth(n: int, rate: float) -> float:
    x, z = float(ndtri(rate)), float(ndtri(_BANDWIDTH_LEVEL))
    density = math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)
    return float(n ** (-1.0 / 3.0) * z ** (2.0 / 3.0) * (1.5 * density**2 / (2.0 * x * x + 1.0)) ** (1.0 / 3.0))


def _squares(values: F64, least: float) -> float:
    """Variance of the mean of some values, whose deviations are not all smaller than one of ``least``."""
    total = max(float(np.square(values - values.mean()).sum()), least * least)
    return total / len(values) ** 2
