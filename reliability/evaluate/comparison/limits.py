"""Which method gives a metric its limits, and the limits themselves.

A method of its own where one has been shown to cover better; else a paired
bootstrap. The choices follow from measured coverage: ``docs/statistics.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from reliability.evaluate.comparison.inputs import Inputs
from reliability.metrics.prepared import PerImage, Prepared
from reliability.metrics.registry import Metric, value_of
from reliability.stats.absolute_sums import absolute_sum_harm
from reliability.stats.bootstrap import paired_replicates
from reliability.stats.cutoff_rates import false_positive_harm
from reliability.stats.delong import delong_harm_limits, delong_limits
from reliability.stats.group_limits import group_gap_harm_limits, worst_group_harm_limits
from reliability.stats.limits import interval
from reliability.stats.means import mean_evidence
from reliability.stats.proportions import paired_counts, wilson_limits
from reliability.stats.ratios import linear_mean_ratio
from reliability.stats.tango import tango_limits
from reliability.types import F64, Interval

REPLICATES = 2000


@dataclass(frozen=True)
class Limits:
    """Both models' values and the harm between them, each with limits, and how they came about."""

    reference: Interval
    candidate: Interval
    harm: Interval
    method: str


@dataclass(frozen=True)
class Request:
    """One metric of both models.

    Attributes:
        metric: What is measured.
        inputs: Of both models.
        reference, candidate: The metric with each model's data read.
        level: Confidence of each one-sided limit.
        seed, replicates: Of a resampling.
    """

    metric: Metric
    inputs: Inputs
    reference: Prepared
    candidate: Prepared
    level: float
    seed: int
    replicates: int


def paired_limits(request: Request) -> Limits:
    """Limits of a metric under both models and of the harm.

    Raises:
        UndefinedMetricError: The metric has no value on these pictures or on a resample of them.
    """
    return METHODS.get(request.metric.name, _bootstrap)(request)


def _bootstrap(request: Request) -> Limits:
    metric, level = request.metric, request.level
    values = [value_of(metric.name, prepared) for prepared in (request.reference, request.candidate)]
    draws = paired_replicates(
        [request.reference, request.candidate], request.inputs.sizes, replicates=request.replicates, seed=request.seed
    )
    return Limits(
        interval(values[0], draws[0], level),
        interval(values[1], draws[1], level),
        interval(metric.harm(values[0], values[1]), metric.harm(draws[0], draws[1]), level),
        f"paired bootstrap of {request.replicates:,}, percentile limits",
    )


def _proportions(request: Request) -> Limits:
    """Score limits for a share of pictures: they hold where few or no pictures differ."""
    marks = [_statistics(prepared)[:, 0].astype(bool) for prepared in (request.reference, request.candidate)]
    # Tango's limits speak of the loss of right answers; of a share that should be low, these are the others.
    right = marks if request.metric.direction == "higher" else [~mark for mark in marks]
    harm = tango_limits(paired_counts(*right), request.level)
    shares = [wilson_limits(int(mark.sum()), len(mark), request.level) for mark in marks]
    return Limits(shares[0], shares[1], harm, "Tango and Wilson score limits")


def _means(request: Request) -> Limits:
    first, second = (_statistics(prepared)[:, 0] for prepared in (request.reference, request.candidate))
    return _mean_limits(request, first, second, "limits of a mean, skewness corrected")


def _mean_limits(request: Request, first: F64, second: F64, method: str) -> Limits:
    reference, candidate, harm = (
        mean_evidence(values).limits(request.level) for values in (first, second, request.metric.harm(first, second))
    )
    return Limits(reference, candidate, harm, method)


def _ratios(request: Request) -> Limits:
    """A mean of ratios of means: the numerators' columns stand before the denominators'."""
    first, second = (
        linear_mean_ratio(*np.hsplit(_statistics(prepared), 2)) for prepared in (request.reference, request.candidate)
    )
    return _mean_limits(request, first, second, "limits of a linearised ratio, skewness corrected")


def _recall(request: Request) -> Limits:
    """Found or not found where every picture asks once and nothing ties; else shares of what it asks."""
    marks = [_statistics(prepared) for prepared in (request.reference, request.candidate)]
    if all(columns.shape[1] == 2 for columns in marks):
        if any((columns[:, 1] != 1).any() for columns in marks):
            return _ratios(request)
        marks = [columns[:, :1] for columns in marks]
    binary = all(np.isin(columns, (0.0, 1.0)).all() for columns in marks)
    return (_proportions if binary else _means)(request)


def _absolute_sums(request: Request) -> Limits:
    first, second = (_statistics(prepared) for prepared in (request.reference, request.candidate))
    nothing = np.zeros_like(first)
    reference, candidate, harm = (
        absolute_sum_harm(*pair).limits(request.level)
        for pair in ((nothing, first), (nothing, second), (first, second))
    )
    return Limits(reference, candidate, harm, "limits of a sum of absolute means")


def _statistics(prepared: Prepared) -> F64:
    assert isinstance(prepared, PerImage)
    statistics: F64 = np.asarray(prepared.statistics)
    return statistics


def _delong(request: Request) -> Limits:
    (id_before, ood_before), (id_after, ood_after) = request.inputs.reference, request.inputs.candidate
    return Limits(
        delong_limits(id_before, ood_before, request.level),
        delong_limits(id_after, ood_after, request.level),
        delong_harm_limits(id_before, ood_before, id_after, ood_after, request.level),
        "DeLong limits, skewness corrected",
    )


def _cutoff_rate(request: Request) -> Limits:
    harm = false_positive_harm(*request.inputs.reference, *request.inputs.candidate).limits(request.level)
    return replace(_bootstrap(request), harm=harm, method="limits from the slope of the ROC curve")


def _groups(limits: Callable[..., Interval]) -> Callable[[Request], Limits]:
    def method(request: Request) -> Limits:
        (first, labels, groups), (second, _, _) = request.inputs.reference, request.inputs.candidate
        right = [logits.argmax(axis=1) == labels for logits in (first, second)]
        harm = limits(*right, groups, request.level)
        return replace(_bootstrap(request), harm=harm, method="score limits over groups that may be the worst")

    return method


METHODS: Mapping[str, Callable[[Request], Limits]] = {
    "top1": _proportions,
    "top5": _proportions,
    "top1_first_8_directions": _proportions,
    "top1_beyond_64_directions": _proportions,
    "flip_rate": _proportions,
    "negative_flip_rate": _proportions,
    "nll": _means,
    "brier": _means,
    "signed_ece": _means,
    "ece": _absolute_sums,
    "mean_corruption_accuracy": _means,
    "mce_corruption": _ratios,
    "mce_corruption_alexnet": _means,
    **{f"{way}_recall_at_{k}": _recall for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)},
    "auroc": _delong,
    "fpr95": _cutoff_rate,
    "worst_group_accuracy": _groups(worst_group_harm_limits),
    "group_gap": _groups(group_gap_harm_limits),
}
"""Metrics with a method of their own; all others are resampled."""
