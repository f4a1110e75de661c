"""Post-hoc scores of zero-shot models: one number per image, higher = more in-distribution.

Every score takes the same two inputs, the raw cosines [N, C] between images and
classes and the model's logit scale, and says whether it uses the scale. That
matters: "maximum softmax probability" of raw cosines and of scaled logits rank
images differently and go by the same name in some benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np
from numpy.typing import ArrayLike

from reliability.metrics.checks import read_logits, undefined
from reliability.metrics.probabilities import confidence
from reliability.metrics.registry import lookup
from reliability.types import F64

# Rounding of half-precision features moves a unit vector's norm by less than this.
_COSINE_SLACK = 1e-2


@dataclass(frozen=True)
class Score:
    """A per-image score.

    Attributes:
        name: As written in threshold files.
        fn: Cosines [N, C] and the logit scale to scores [N] float64.
        uses_logit_scale: Whether the scale changes the ranking of images.
        summary: One sentence.
    """

    name: str
    fn: Callable[[ArrayLike, float], F64]
    uses_logit_scale: bool
    summary: str


SCORES: dict[str, Score] = {}


def get_score(name: str) -> Score:
    """The score of that name.

    Raises:
        UsageError: There is none; close matches are named.
    """
    return lookup(SCORES, name, "score")


def score(*, uses_logit_scale: bool) -> Callable[[Callable[[F64, float], F64]], Callable[[ArrayLike, float], F64]]:
    """Register a score; its input is checked before it runs."""

    def decorate(compute: Callable[[F64, float], F64]) -> Callable[[ArrayLike, float], F64]:
        name = compute.__name__

        @wraps(compute)
        def fn(cosines: ArrayLike, logit_scale: float) -> F64:
            return compute(*_read(name, cosines, logit_scale))

        SCORES[name] = Score(name, fn, uses_logit_scale, (compute.__doc__ or name).partition("\n")[0])
        return fn

    return decorate


@score(uses_logit_scale=False)
def mcm(cosines: F64, logit_scale: float) -> F64:  # noqa: ARG001
    """Maximum concept matching: largest softmax probability of the raw cosines.

    Args:
        cosines: [N, C].
        logit_scale: Not used.

    Raises:
        UndefinedMetricError: Empty or non-finite cosines, or values no cosine can take.

    Conventions:
        Temperature 1 on raw cosines, so scores lie just above 1 / C and only their order has meaning.

    Source:
        Ming et al., Delving into Out-of-Distribution Detection with Vision-Language
        Representations, NeurIPS 2022. No departure.
    """
    return confidence(cosines)


@score(uses_logit_scale=True)
def msp(cosines: F64, logit_scale: float) -> F64:
    """Maximum softmax probability of the logits: the confidence.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        With a large scale many images reach exactly 1 and tie; the metrics count ties.

    Source:
        Hendrycks & Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks, ICLR 2017. No departure.
    """
    return confidence(logit_scale * cosines)


@score(uses_logit_scale=False)
def max_logit(cosines: F64, logit_scale: float) -> F64:  # noqa: ARG001
    """Largest logit, given as a cosine.

    Args:
        cosines: [N, C].
        logit_scale: Not used.

    Raises:
        UndefinedMetricError: Empty or non-finite cosines, or values no cosine can take.

    Source:
        Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings,
        ICML 2022. Departure: not multiplied by the logit scale, which cannot change the ranking.
    """
    largest: F64 = cosines.max(axis=1)
    return largest


@score(uses_logit_scale=True)
def energy(cosines: F64, logit_scale: float) -> F64:
    """Negative free energy of the logits: their log-sum-exp at temperature 1.

    Args:
        cosines: [N, C].
        logit_scale: Multiplies cosines to give logits.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Source:
        Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.
        Departure: the sign is such that higher means more in-distribution.
    """
    logits = logit_scale * cosines
    # log-sum-exp is the largest logit minus the log of the largest probability.
    negative_energy: F64 = logits.max(axis=1) - np.log(confidence(logits))
    return negative_energy


def _read(name: str, cosines: ArrayLike, logit_scale: float) -> tuple[F64, float]:
    values = read_logits(name, "cosines", cosines)
    too_large = np.abs(values) > 1.0 + _COSINE_SLACK
    if too_large.any():
        row, column = (int(i) for i in np.argwhere(too_large)[0])
        raise undefined(
            name,
            f"cosines[{row}, {column}]",
            "cosines lie in [-1, 1]",
            values[row, column],
            "pass cosines of unit features, not logits; the logit scale is a separate argument",
        )
    if not (math.isfinite(logit_scale) and logit_scale > 0):
        raise undefined(
            name, "logit_scale", "the scale must be positive and finite", logit_scale, "check the checkpoint"
        )
    return values, float(logit_scale)
