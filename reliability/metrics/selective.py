"""Selective classification: are the images a model is unsure of the ones it gets wrong?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reliability.metrics.prepared import I32, Ranked, rank_split
from reliability.metrics.registry import register
from reliability.types import F64


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
        Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, 2017.
        Departure: tied images count as one step, where the paper orders them one by one.

    >>> aurc([0.9, 0.6], [True, False])
    0.25
    """
    return rank_split(confidence, correct, _mean_risk)


def _mean_risk(right: I32, wrong: I32) -> F64:
    accepted = right + wrong
    # Cutoffs above the first drawn image accept nothing and carry no images either.
    risk = np.divide(wrong[1:], accepted[1:], out=np.zeros(accepted[1:].shape), where=accepted[1:] > 0)
    area: F64 = np.einsum("lb,lb->b", np.diff(accepted, axis=0), risk) / accepted[-1]
    return area
