"""Accuracy."""

from __future__ import annotations

import numpy as np

from reliability.metrics.answers import Answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register


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
