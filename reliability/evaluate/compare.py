"""Reference and candidate on the same pictures: scores, metrics, paired harm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliability.errors import DataError, UsageError
from reliability.evaluate.details import details
from reliability.evaluate.inputs import INPUTS, Asked, Side
from reliability.evaluate.limits import REPLICATES, Request, paired_limits
from reliability.metrics import registry
from reliability.types import Comparison, Embeddings, Task


@dataclass(frozen=True)
class Pair:
    """Both models on one task.

    Raises:
        DataError: The two sides do not hold the same pictures in the same order.
    """

    task: Task
    reference: Side
    candidate: Side

    def __post_init__(self) -> None:
        _check_same_pictures(self.task.name, self.reference.part, self.candidate.part)
        if self.reference.familiar is not None and self.candidate.familiar is not None:
            _check_same_pictures(self.task.name, self.reference.familiar, self.candidate.familiar)

    def harm(
        self, metric: str, score: str = "", *, level: float = 0.95, seed: int = 0, replicates: int = REPLICATES
    ) -> Comparison:
        """How much worse the candidate is, with one-sided limits.

        Args:
            metric: A registered metric.
            score: A registered score, for metrics that tell unfamiliar pictures from familiar ones.
            level: Confidence of each one-sided limit.
            seed, replicates: Of the resampling, for metrics whose limits come from one.

        Raises:
            UsageError: The metric does not fit the task, or lacks its score.
            UndefinedMetricError: The metric has no value on these pictures.
        """
        chosen = registry.get(metric)
        if chosen.weighted is None or chosen.kind not in INPUTS:
            raise UsageError(
                where=f"metric {metric}", what="no interval can be given for this metric, so no bound can judge it",
                got=f"a metric of kind {chosen.kind}", next=f"choose one of {', '.join(sorted(judgeable_metrics()))}",
            )  # fmt: skip
        inputs = INPUTS[chosen.kind](Asked(self.task, self.reference, self.candidate, score))
        reference, candidate = chosen.weighted(*inputs.reference), chosen.weighted(*inputs.candidate)
        found = paired_limits(Request(chosen, inputs, reference, candidate, level, seed, replicates))
        return Comparison(
            metric=metric,
            score=score,
            reference=found.reference,
            candidate=found.candidate,
            harm=found.harm,
            n=sum(inputs.sizes),
            seed=seed,
            details=details(metric, self.task, self.reference.part, self.candidate.part),
            method=found.method,
        )


def _check_same_pictures(task: str, first: Embeddings, second: Embeddings) -> None:
    if len(first.ids) == len(second.ids) and (first.ids == second.ids).all():
        return
    same = min(len(first.ids), len(second.ids))
    differ = np.flatnonzero(first.ids[:same] != second.ids[:same])
    at = int(differ[0]) if len(differ) else same
    raise DataError(
        where=f"task {task}, row {at}",
        what="reference and candidate do not hold the same pictures in the same order",
        got=f"{len(first.ids)} and {len(second.ids)} pictures, first difference at row {at}",
        next="embed both on the same source; a comparison of different pictures is not paired",
    )


def judgeable_metrics() -> tuple[str, ...]:
    """Names of the metrics that a bound can judge: those with an interval on an embedded task."""
    return tuple(m.name for m in registry.all_metrics() if m.weighted is not None and m.kind in INPUTS)
