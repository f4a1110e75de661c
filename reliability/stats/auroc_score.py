"""Limits of one AUROC from its value and the numbers of images alone, and what to expect of its variance."""

from __future__ import annotations

import math

import scipy

from reliability.stats.asymptotic import normal_score, read_count, score_interval, undefined
from reliability.types import Interval


def auroc_score_limits(auroc: float, n_id: int, n_ood: int, level: float = 0.95) -> Interval:
    """Score limits of one AUROC from its value alone, defined at 0 and 1 too.

    The values that a normal test does not reject whose variance is that of two exponential
    distributions with the AUROC tested, not the one observed.

    Args:
        auroc: In [0, 1].
        n_id, n_ood: Images in each set.
        level: Of each one-sided limit.

    Raises:
        UndefinedMetricError: An AUROC outside [0, 1], or an empty set.
        UsageError: A level outside (0.5, 1).

    Conventions:
        ``standard_error`` is the width in normal units. The shape of the score distributions
        is assumed, so prefer ``delong_limits`` wherever it has a variance.

    Source:
        Newcombe, Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic, part 2, 2006, method 5; variance after Hanley & McNeil, The meaning and use
        of the area under a receiver operating characteristic curve, 1982. No departure.

    >>> limits = auroc_score_limits(1.0, 500, 500)
    >>> round(limits.lower, 4), limits.upper
    (0.9973, 1.0)
    """
    z = normal_score("auroc_score_limits", level)
    inside, outside = (read_count(f"auroc_score_limits: {k}", n, 1) for k, n in (("n_id", n_id), ("n_ood", n_ood)))
    if not 0.0 <= auroc <= 1.0:
        raise undefined(
            "auroc_score_limits: auroc", "an AUROC lies in [0, 1]", auroc, "pass the AUROC, not a percentage"
        )
    lower = 1.0 - _upper_score_limit(1.0 - auroc, inside, outside, z)
    return score_interval(auroc, lower, _upper_score_limit(auroc, inside, outside, z), level)


def exponential_variance(auroc: float, n_id: int, n_ood: int, others_id: float, others_ood: float) -> float:
    """Variance of an AUROC where the scores of both sets are exponential.

    Args:
        auroc: True value, in [0, 1].
        n_id, n_ood: Images in each set.
        others_id, others_ood: One less than these in Hanley & McNeil; Newcombe takes the mean of both.

    Source:
        Hanley & McNeil, 1982, factored. No departure.

    >>> exponential_variance(0.5, 10, 10, 9, 9) == 0.25 / 100 * 7
    True
    """
    shared = others_id * (1.0 - auroc) / (2.0 - auroc) + others_ood * auroc / (1.0 + auroc)
    return auroc * (1.0 - auroc) / (n_id * n_ood) * (1.0 + shared)


def _upper_score_limit(auroc: float, n_id: int, n_ood: int, z: float) -> float:
    if auroc == 1.0:
        return 1.0
    others = (n_id + n_ood) / 2.0 - 1.0
    # At 0 the estimate is a root without variance; the limit lies above this start.
    start = max(auroc, z * z / (2.0 * (n_id * n_ood + z * z)))

    def excess(value: float) -> float:
        return auroc - value + z * math.sqrt(exponential_variance(value, n_id, n_ood, others, others))

    return float(scipy.optimize.brentq(excess, start, 1.0, xtol=1e-15, rtol=1e-15))
