"""Limits of figures that are no metric of a task: of layers, of ratios, and over several draws of a recipe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import INPUTS, Asked
from reliability.metrics.prepared import Prepared
from reliability.metrics.registry import get
from reliability.stats.bootstrap import paired_replicates
from reliability.stats.limits import interval
from reliability.stats.means import mean_evidence
from reliability.stats.ratios import linear_mean_ratio
from reliability.stats.variation import DrawVariation, variation_over_draws
from reliability.types import F64, Interval

REPLICATES = 1000


def value_limits(prepared: Prepared, level: float) -> Interval:
    """A figure with limits from resampled pictures."""
    draws = paired_replicates([prepared], prepared.sizes, REPLICATES)
    return interval(plain_value(prepared), draws[0], level)


def difference_limits(first: Prepared, second: Prepared, level: float) -> Interval:
    """The second figure less the first, from the same resamples of the same pictures."""
    draws = paired_replicates([first, second], first.sizes, REPLICATES)
    return interval(plain_value(second) - plain_value(first), draws[1] - draws[0], level)


def plain_value(prepared: Prepared) -> float:
    """A figure on the pictures as they are."""
    return float(prepared(*(np.ones((1, n)) for n in prepared.sizes))[0])


def relative_loss(reference: F64, candidate: F64, level: float) -> Interval:
    """Share of the reference's accuracy that is lost, from right answers [N] or their means by picture.

    Conventions:
        Negative where the candidate is right more often.
    """
    return mean_evidence(1.0 - linear_mean_ratio(candidate, reference)).limits(level)


def prepared_for(pair: Pair, metric: str, score: str) -> tuple[Prepared, Prepared]:
    """A metric with both models' data read."""
    chosen = get(metric)
    assert chosen.weighted is not None, "only metrics with limits vary over resamples"
    inputs = INPUTS[chosen.kind](Asked(pair.task, pair.reference, pair.candidate, score))
    return chosen.weighted(*inputs.reference), chosen.weighted(*inputs.candidate)


def over_draws(pairs: Sequence[Pair], metric: str, score: str, level: float) -> tuple[DrawVariation, float]:
    """How harm varies over draws of one recipe, and the variance that pictures give the harm of a single draw.

    Args:
        pairs: The same reference beside each draw, on the same pictures.
        metric, score: As a bound names them.
        level: Of each one-sided limit.
    """
    chosen = get(metric)
    both = [prepared_for(pair, metric, score) for pair in pairs]
    statistics = [both[0][0], *(second for _, second in both)]
    draws = paired_replicates(statistics, both[0][0].sizes, REPLICATES)
    harms = [chosen.harm(plain_value(statistics[0]), plain_value(second)) for second in statistics[1:]]
    covariance = np.cov(np.stack([chosen.harm(draws[0], draw) for draw in draws[1:]]))
    return variation_over_draws(harms, covariance, level), float(np.diag(covariance).mean())
