"""What the leading and the trailing directions of features are worth.

Directions are right singular vectors of features as they are, in order of singular
value: rank 1 is the strongest.
"""

from __future__ import annotations

import numpy as np

from reliability.metrics.checks import undefined
from reliability.metrics.features import principal_directions, unit_rows
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register
from reliability.types import F64, I64

FIRST = 8
"""The leading directions that the study classifies by alone."""
BEYOND = 64
"""What lies beyond so many directions is the tail."""


@register("directions", direction="higher", low=0.0, high=1.0, unit="fraction", depends_on_size=True)
def top1_first_8_directions(features: F64, labels: I64, text: F64) -> PerImage:
    """Accuracy of features of which only their own eight strongest directions are left.

    Args:
        features: [N, D] image features.
        labels: [N] in 0..C-1.
        text: [C, D] text features of the classes.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, features of rank 8 or
            less (then nothing is left out), or an image of which nothing is left.

    Conventions:
        Directions are those of these very images, uncentred, and a resample keeps them. What
        is left is compared with the classes by cosine, whole; a tie goes to the lower class.

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173, on bands of re-decomposed
        features. Departure: cosine with whole text features, where the study's reading is not given.

    >>> features = np.diag(np.arange(9.0, 0.0, -1.0)) + 0.5
    >>> round(top1_first_8_directions(features, np.arange(9), np.eye(9)), 4)
    0.8889
    """
    head = _directions("top1_first_8_directions", features, FIRST)[:FIRST]
    return _accuracy("top1_first_8_directions", features @ head.T @ head, labels, text)


@register("directions", direction="higher", low=0.0, high=1.0, unit="fraction", depends_on_size=True)
def top1_beyond_64_directions(features: F64, labels: I64, text: F64) -> PerImage:
    """Accuracy of features whose own 64 strongest directions are taken away.

    Args:
        features, labels, text: As of :func:`top1_first_8_directions`.

    Raises:
        UndefinedMetricError: As of :func:`top1_first_8_directions`, for features of rank 64 or less.

    Conventions:
        As of :func:`top1_first_8_directions`.

    Source:
        As of :func:`top1_first_8_directions`.

    >>> features = np.diag(np.arange(65.0, 0.0, -1.0)) + 0.1
    >>> round(top1_beyond_64_directions(features, np.arange(65), np.eye(65)), 4)
    0.0308
    """
    tail = _directions("top1_beyond_64_directions", features, BEYOND)[BEYOND:]
    return _accuracy("top1_beyond_64_directions", features @ tail.T @ tail, labels, text)


def _directions(metric: str, features: F64, more_than: int) -> F64:
    """Right singular vectors [R, D], of which there must be more than some."""
    _, directions = principal_directions(features)
    if len(directions) <= more_than:
        raise undefined(
            metric, "features", f"there must be more than {more_than} directions", f"rank {len(directions)}",
            "give it more images, or features of more dimensions",
        )  # fmt: skip
    return directions


def _accuracy(metric: str, features: F64, labels: I64, text: F64) -> PerImage:
    cosines = unit_rows(metric, "features", features) @ unit_rows(metric, "text", text).T
    return mean_of((cosines.argmax(axis=1) == labels).astype(np.float64))
