"""Reference and candidate on the same pictures: scores, metrics, paired harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from reliability.errors import DataError
from reliability.evaluate.comparison.counted import COUNTED, counted
from reliability.evaluate.comparison.details import details
from reliability.evaluate.comparison.group_inputs import GROUP_INPUTS
from reliability.evaluate.comparison.inputs import INPUTS, Asked, Side
from reliability.evaluate.comparison.limits import REPLICATES
from reliability.evaluate.comparison.measure import Settings, find_judgeable, judgeable, measured
from reliability.evaluate.running.efficiency import COSTS, Costs, measured_cost
from reliability.quant.proof import Proof
from reliability.types import Comparison, Embeddings, Task


@dataclass(frozen=True)
class Pair:
    """Both models on one task.

    Attributes:
        proof: Gives the candidate's coverage proof, which counted figures are read from.
        costs: What running both models costs.
        against: What the reference is, where it is not the FP32 model.

    Raises:
        DataError: The two sides do not hold the same pictures in the same order.
    """

    task: Task
    reference: Side
    candidate: Side
    proof: Callable[[], Proof] | None = None
    costs: Costs | None = None
    against: str = ""

    def __post_init__(self) -> None:
        for name in ("part", "familiar", "fit"):
            first, second = getattr(self.reference, name), getattr(self.candidate, name)
            if first is not None and second is not None:
                _check_same_pictures(self.task.name, first, second)

    def harm(
        self, metric: str, score: str = "", *, level: float = 0.95, seed: int = 0, replicates: int = REPLICATES
    ) -> Comparison:
        """How much worse the candidate is, with one-sided limits.

        Args:
            metric: A registered metric, a counted figure, or a cost.
            score: A registered score, for metrics that tell unfamiliar pictures from familiar ones.
            level: Confidence of each one-sided limit.
            seed, replicates: Of the resampling, for metrics whose limits come from one.

        Raises:
            UsageError: The metric does not fit the task, or lacks its score.
            UndefinedMetricError: The metric has no value on these pictures.
        """
        if metric in COUNTED and self.proof is not None:
            return counted(metric, score, self.proof(), level)
        if metric in COSTS and self.costs is not None:
            return measured_cost(metric, score, self.costs, level, seed, replicates)
        chosen = find_judgeable(metric, INPUTS, "one task")
        asked = Asked(self.task, self.reference, self.candidate, score)
        inputs = INPUTS[chosen.kind](asked)
        how = Settings(level, seed, replicates)
        found = measured(chosen, score, inputs, lambda: details(chosen, asked, inputs), how)
        return replace(found, method=f"{found.method}, against {self.against}") if self.against else found


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
    """What a bound can judge: metrics with an interval on a task or a group of tasks, counted figures, and costs."""
    return (*judgeable({*INPUTS, *GROUP_INPUTS}), *COUNTED, *COSTS)
