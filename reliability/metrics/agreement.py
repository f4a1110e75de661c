"""Agreement of the candidate with the reference, whatever the truth."""

from __future__ import annotations

import numpy as np

from reliability.metrics.answers import Answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register


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
