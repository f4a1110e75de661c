"""One metric of two models, from its name and arguments to a comparison."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from reliability.errors import UsageError
from reliability.evaluate.comparison.details import Details
from reliability.evaluate.comparison.inputs import Inputs
from reliability.evaluate.comparison.known_answers import require_known_answer
from reliability.evaluate.comparison.limits import Request, paired_limits
from reliability.metrics import registry
from reliability.metrics.registry import Metric
from reliability.types import Comparison


@dataclass(frozen=True)
class Settings:
    """How limits are made: level of each one-sided limit, seed and number of resamples."""

    level: float
    seed: int
    replicates: int


def judgeable(kinds: Collection[str]) -> tuple[str, ...]:
    """Names of the metrics of some kinds that have limits, so that a bound can judge them."""
    return tuple(m.name for m in registry.all_metrics() if m.weighted is not None and m.kind in kinds)


def find_judgeable(name: str, kinds: Collection[str], about: str) -> Metric:
    """The metric of that name, to be judged on what its kind is about.

    Args:
        name: Of a registered metric.
        kinds: Those that can be had here.
        about: What is compared here, in words: one task, or a group of tasks.

    Raises:
        UsageError: It has no limits, or its kind is about something else.
    """
    metric = registry.get(name)
    if name not in judgeable(kinds):
        raise UsageError(
            where=f"metric {name}", what=f"no interval can be given for this metric on {about}, so no bound judges it",
            got=f"a metric of kind {metric.kind}", next=f"choose one of {', '.join(sorted(judgeable(kinds)))}",
        )  # fmt: skip
    return metric


def measured(metric: Metric, score: str, inputs: Inputs, details: Callable[[], Details], how: Settings) -> Comparison:
    """Both models' values and the harm, with limits.

    Args:
        metric: One that :func:`find_judgeable` found.
        score: Its name where the metric needs one.
        inputs: Arguments of the metric for both models.
        details: What a report needs to draw it.
        how: Level, seed and resamples.

    Raises:
        UndefinedMetricError: The metric has no value on these pictures, or not the one it must have on known ones.
    """
    assert metric.weighted is not None, "only metrics with limits are judged"
    require_known_answer(metric)
    reference, candidate = metric.weighted(*inputs.reference), metric.weighted(*inputs.candidate)
    found = paired_limits(Request(metric, inputs, reference, candidate, how.level, how.seed, how.replicates))
    return Comparison(
        metric=metric.name,
        score=score,
        reference=found.reference,
        candidate=found.candidate,
        harm=found.harm,
        n=sum(inputs.sizes),
        seed=how.seed,
        details=details(),
        method=found.method,
    )
