"""Accuracy."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from reliability.metrics.answers import Answers
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register
from reliability.types import F64


@register("classification", direction="higher", low=0.0, high=1.0, unit="fraction")
def top1(answers: Answers) -> PerImage:
    """Share of images whose largest logit is the label's.

    Args:
        logits: [N, C].
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        Equal logits go to the lowest class number, as in ``argmax``.

    >>> top1([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]], [0, 1, 1])
    0.6666666666666666
    """
    return mean_of(answers.correct.astype(np.float64))


@register("classification", direction="higher", low=0.0, high=1.0, unit="fraction", defined="more than 5 classes")
def top5(answers: Answers) -> PerImage:
    """Share of images whose label is among the five largest logits.

    Args:
        logits: [N, C] of more than five classes.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`top1`, or no more than five classes: the value would be 1
            whatever the model, and a bound on it would always hold.

    Conventions:
        Equal logits go to the lowest class number.

    >>> top5([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]] * 2, [4, 5])
    0.5
    """
    if answers.classes <= 5:
        raise undefined(
            "top5",
            "logits",
            "five guesses of so few classes are always right",
            f"{answers.classes} classes",
            "use top1",
        )
    return mean_of((answers.rank < 5).astype(np.float64))


@register("classification", direction="higher", low=0.0, high=1.0, unit="fraction")
def balanced_accuracy(answers: Answers) -> PerImage:
    """Mean over classes of the share of the class's images that are answered right.

    Args:
        logits: [N, C].
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`top1`.

    Conventions:
        Every class that has an image counts once, however many it has; a class without images
        has no accuracy and is left out. A resample that draws none of a class's images has no
        value (NaN), rather than that of the remaining classes, so an interval needs many images
        of every class: of 1,000 classes with 10 images each, one resample in 22 loses a class;
        with 20 each, one in 500,000.

    Source:
        Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, ICPR 2010.
        Departure: any number of classes, where the paper has two.

    >>> balanced_accuracy([[1.0, 0.0]] * 4, [0, 0, 0, 1])
    0.5
    """
    present, place = np.unique(answers.labels, return_inverse=True)
    n, classes = len(answers), len(present)
    hits_then_members = csr_array(
        (
            np.concatenate([answers.correct, np.ones(n)]),
            (np.tile(np.arange(n), 2), np.concatenate([place, classes + place])),
        ),
        shape=(n, 2 * classes),
    )
    return PerImage(hits_then_members, _mean_rate)


def _mean_rate(means: F64) -> F64:
    hits, share = np.hsplit(means, 2)
    with np.errstate(invalid="ignore"):
        rate: F64 = (hits / share).mean(axis=1)
    return rate
