"""Which method gives a metric its limits, and the limits themselves.

A method of its own where there is one that is exact or closed; else a paired
bootstrap. The choices follow from measured coverage: ``docs/statistics.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.evaluate.inputs import Inputs
from reliability.metrics.prepared import PerImage, Prepared
from reliability.metrics.registry import Metric, value_of
from reliability.stats.bootstrap import paired_replicates
from reliability.stats.delong import delong_harm_limits, delong_limits
from reliability.stats.limits import interval
from reliability.stats.proportions import paired_counts, wilson_limits
from reliability.stats.tango import tango_limits
from reliability.types import Interval

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
    marks = [_marks(prepared) for prepared in (request.reference, request.candidate)]
    # Tango's limits speak of the loss of right answers; of a share that should be low, these are the others.
    right = marks if request.metric.direction == "higher" else [~mark for mark in marks]
    harm = tango_limits(paired_counts(*right), request.level)
    shares = [wilson_limits(int(mark.sum()), len(mark), request.level) for mark in marks]
    return Limits(shares[0], shares[1], harm, "Tango and Wilson score limits")


def _marks(prepared: Prepared) -> NDArray[np.bool_]:
    assert isinstance(prepared, PerImage)
    marks: NDArray[Any] = np.asarray(prepared.statistics)[:, 0]
    return marks.astype(bool)


def _delong(request: Request) -> Limits:
    (id_before, ood_before), (id_after, ood_after) = request.inputs.reference, request.inputs.candidate
    return Limits(
        delong_limits(id_before, ood_before, request.level),
        delong_limits(id_after, ood_after, request.level),
        delong_harm_limits(id_before, ood_before, id_after, ood_after, request.level),
        "DeLong limits, skewness corrected",
    )


METHODS: Mapping[str, Callable[[Request], Limits]] = {
    "top1": _proportions,
    "top5": _proportions,
    "flip_rate": _proportions,
    "negative_flip_rate": _proportions,
    "auroc": _delong,
}
"""Metrics with a method of their own; all others are resampled."""
