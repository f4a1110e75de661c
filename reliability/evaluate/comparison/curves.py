"""Curves behind a metric, thinned to what a figure needs; a case's record carries them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reliability.types import F64

FALSE_ACCEPTANCE = np.unique(np.concatenate([[0.0], np.geomspace(0.001, 0.05, 12), np.linspace(0.05, 1.0, 28)]))
"""Where a ROC curve is read, as shares of unfamiliar pictures accepted: densest where detectors are used."""

COVERAGE = np.linspace(0.025, 1.0, 40)
"""Where a risk-coverage curve is read, as shares of pictures answered."""


def roc(familiar: F64, unfamiliar: F64) -> F64:
    """Share of familiar pictures accepted at each :data:`FALSE_ACCEPTANCE`.

    Args:
        familiar: [N] scores, higher = more familiar.
        unfamiliar: [M] scores.

    Conventions:
        A picture is accepted if it scores at or above the cutoff, so equal scores are
        accepted together. Straight lines between cutoffs; at equal shares of unfamiliar
        pictures the best cutoff counts.

    >>> float(roc(np.array([3.0, 2.0]), np.array([1.0, 0.0]))[0])
    1.0
    """
    levels = np.unique(np.concatenate([familiar, unfamiliar]))[::-1]
    x, y = (np.concatenate([[0.0], _accepted(scores, levels)]) for scores in (unfamiliar, familiar))
    # From the last cutoff that accepts no more to the first that accepts more: steps straight up are not cut off.
    before = np.searchsorted(x, FALSE_ACCEPTANCE, side="right") - 1
    after = np.minimum(before + 1, len(x) - 1)
    way = np.divide(FALSE_ACCEPTANCE - x[before], x[after] - x[before], out=np.zeros(len(before)), where=after > before)
    curve: F64 = y[before] + way * (y[after] - y[before])
    return curve


def _accepted(scores: F64, levels: F64) -> F64:
    below: F64 = np.searchsorted(np.sort(scores), levels, side="left") / len(scores)
    return 1.0 - below


def risk_coverage(confidence: F64, correct: NDArray[np.bool_]) -> F64:
    """Error rate among the most confident pictures, at each :data:`COVERAGE`.

    Args:
        confidence: [N] higher = more confident.
        correct: [N] whether the answer is right.

    Conventions:
        The first cutoff that answers at least so many; pictures of equal confidence are
        answered together.

    >>> risk = risk_coverage(np.array([0.9, 0.6]), np.array([True, False]))
    >>> float(risk[19]), float(risk[-1])
    (0.0, 0.5)
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    errors = np.cumsum(~correct[order])
    wanted = np.ceil(COVERAGE * len(ranked) - 1e-9).astype(np.int64) - 1
    # Last picture of each confidence: the cutoff takes in all of its equals.
    answered = np.searchsorted(-ranked, -ranked[wanted], side="right")
    risk: F64 = errors[answered - 1] / answered
    return risk
