"""Split conformal prediction: how many classes must be named to hold the right one nine times in ten.

Some images set a cutoff on a score of how ill a class fits; the set of any
other image is every class within it. On exchangeable images the right class is
in the set with a probability of at least 90 %, whatever the model. A worse model
pays with larger sets.
"""

from __future__ import annotations

import numpy as np

from reliability.metrics.answers import Answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.probabilities import surprises, tails
from reliability.metrics.registry import register
from reliability.types import F64, I64

# Coverage in tenths: whole numbers, so that the rank of the cutoff is exact.
_TENTHS = 9


@register("fitted", direction="neither", low=0.0, high=1.0, unit="fraction", depends_on_size=True)
def conformal_coverage_lac(fit: Answers, judged: Answers) -> PerImage:
    """Share of images whose label is in the 90 % conformal set of classes that are likely enough (LAC).

    Args:
        fit_logits, fit_labels: [F, C] and [F], images of the same kind, to set the cutoff on.
        logits, labels: [N, C] and [N] of the images that are judged.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        The score of a class is its negative log-probability, which orders classes as one minus
        the probability does and keeps digits where that rounds to 0 or 1. The cutoff is the
        k-th smallest score of the labels to fit on, k = ceil(0.9 * (F + 1)); a class at the
        cutoff is in the set. Fewer than 9 images to fit on give no cutoff, and sets of all
        classes. Coverage varies with the images to fit on by about 0.3 / sqrt(F).

    Source:
        Sadinle et al., Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, JASA
        2019, split as in Papadopoulos et al., 2002. No departure.

    >>> conformal_coverage_lac([[2.0, 0.0]] * 9, [0] * 9, [[2.0, 0.0]] * 4, [0, 0, 0, 1])
    0.75
    """
    return mean_of((judged.surprise <= _lac_cutoff(fit)).astype(np.float64))


@register("fitted", direction="lower", low=0.0, high=float("inf"), unit="classes", depends_on_size=True)
def conformal_size_lac(fit: Answers, judged: Answers) -> PerImage:
    """Mean number of classes in the 90 % conformal sets of classes that are likely enough (LAC).

    Args:
        fit_logits, fit_labels: [F, C] and [F], images of the same kind, to set the cutoff on.
        logits, labels: [N, C] and [N] of the images that are judged.

    Raises:
        UndefinedMetricError: As :func:`conformal_coverage_lac`.

    Conventions:
        As :func:`conformal_coverage_lac`. A set is empty where no class is likely enough, so
        for a model that is right more than nine times in ten the mean can be below 1.

    Source:
        As :func:`conformal_coverage_lac`.

    >>> conformal_size_lac([[2.0, 0.0]] * 9, [0] * 9, [[2.0, 0.0], [0.0, 0.0]], [0, 0])
    0.5
    """
    cutoff, size = _lac_cutoff(fit), np.empty(len(judged))
    for rows, block in judged.blocks():
        size[rows] = np.count_nonzero(surprises(block) <= cutoff, axis=1)
    return mean_of(size)


@register("fitted", direction="neither", low=0.0, high=1.0, unit="fraction", depends_on_size=True)
def conformal_coverage_aps(fit: Answers, judged: Answers) -> PerImage:
    """Share of images whose label is in the 90 % conformal set of enough likely classes (APS).

    Args:
        fit_logits, fit_labels: [F, C] and [F], images of the same kind, to set the cutoff on.
        logits, labels: [N, C] and [N] of the images that are judged.

    Raises:
        UndefinedMetricError: As :func:`conformal_coverage_lac`.

    Conventions:
        The score of a class is the probability of it and all that come before it, largest
        first, equal logits by class number; the cutoff is as for :func:`conformal_coverage_lac`.
        A set takes classes in that order until their probability reaches the cutoff. The class
        that reaches it is in the set, so sets are never empty and coverage exceeds 90 %, the more
        the larger single probabilities are. Randomised sets would cover exactly, but what a bound
        judges must not depend on a draw. Logits 745 below the largest count as impossible.

    Source:
        Romano et al., Classification with Valid and Adaptive Coverage, NeurIPS 2020.
        Departure: no randomisation, as in Angelopoulos & Bates, A Gentle Introduction to
        Conformal Prediction, 2021.

    >>> conformal_coverage_aps([[2.0, 0.0]] * 9, [0] * 9, [[2.0, 0.0]] * 4, [0, 0, 0, 1])
    0.75
    """
    return mean_of((judged.rank < _aps_sizes(fit, judged)).astype(np.float64))


@register("fitted", direction="lower", low=1.0, high=float("inf"), unit="classes", depends_on_size=True)
def conformal_size_aps(fit: Answers, judged: Answers) -> PerImage:
    """Mean number of classes in the 90 % conformal sets of enough likely classes (APS).

    Args:
        fit_logits, fit_labels: [F, C] and [F], images of the same kind, to set the cutoff on.
        logits, labels: [N, C] and [N] of the images that are judged.

    Raises:
        UndefinedMetricError: As :func:`conformal_coverage_lac`.

    Conventions:
        As :func:`conformal_coverage_aps`.

    Source:
        As :func:`conformal_coverage_aps`.

    >>> conformal_size_aps([[2.0, 0.0]] * 9, [0] * 9, [[2.0, 0.0], [0.0, 0.0]], [0, 0])
    1.5
    """
    return mean_of(_aps_sizes(fit, judged).astype(np.float64))


def _lac_cutoff(fit: Answers) -> float:
    return _conformal_quantile(fit.surprise)


def _aps_sizes(fit: Answers, judged: Answers) -> I64:
    """[N] classes in each set, the likeliest ones."""
    # What follows a class keeps its digits where the probability of all up to it rounds to 1.
    after_label = np.empty(len(fit))
    for rows, block in fit.blocks():
        after_label[rows] = tails(block)[np.arange(len(block)), fit.rank[rows]]
    cutoff, size = -_conformal_quantile(-after_label), np.empty(len(judged), np.int64)
    for rows, block in judged.blocks():
        size[rows] = np.minimum(1 + np.count_nonzero(tails(block) > cutoff, axis=1), judged.classes)
    return size


def _conformal_quantile(scores: F64) -> float:
    """The ceil(0.9 * (F + 1))-th smallest of F scores; infinite where there are not so many."""
    rank = -(-_TENTHS * (len(scores) + 1) // 10)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else np.inf
