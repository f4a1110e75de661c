"""Agreement of the candidate with the reference, whatever the truth."""

from __future__ import annotations

import numpy as np

from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.probabilities import predictions
from reliability.metrics.registry import register
from reliability.types import F64, I64


@register("agreement", direction="lower", low=0.0, high=1.0, unit="fraction")
def flip_rate(reference_logits: F64, candidate_logits: F64, labels: I64) -> PerImage:  # noqa: ARG001
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
    return mean_of((predictions(reference_logits) != predictions(candidate_logits)).astype(np.float64))
