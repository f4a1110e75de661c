"""Answers of one model to the same pictures under several corruptions, and the metrics about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reliability.errors import UsageError
from reliability.evaluate.comparison.inputs import Inputs
from reliability.metrics.kinds import Kind

Marks = NDArray[np.bool_]

_WITHOUT_CLEAN = ("mce_corruption",)
"""Takes answers to clean pictures, as all metrics of its kind do, and does not look at them."""


@dataclass(frozen=True)
class GroupSide:
    """Which of N pictures one model answers right.

    Attributes:
        correct: [N, K, S] under K corruptions at S severities.
        clean: [N] as they are; None where nobody asked.
    """

    correct: Marks
    clean: Marks | None = None


@dataclass(frozen=True)
class GroupAsked:
    """One metric of both models on a group of tasks."""

    group: str
    metric: str
    reference: GroupSide
    candidate: GroupSide

    @property
    def clean(self) -> tuple[Marks, Marks]:
        """Answers of both models to the clean pictures.

        Raises:
            UsageError: The group names no task that shows them, and the metric looks at them.
        """
        if self.metric in _WITHOUT_CLEAN:
            unused = np.ones(len(self.reference.correct), dtype=bool)
            return unused, unused
        if self.reference.clean is None or self.candidate.clean is None:
            raise UsageError(
                where=f"group {self.group}", what="this metric is also about the clean pictures",
                got="a group without `clean`", next='name their task in the group, such as clean = "id"',
            )  # fmt: skip
        return self.reference.clean, self.candidate.clean


def _corruptions(asked: GroupAsked) -> Inputs:
    return Inputs((asked.reference.correct,), (asked.candidate.correct,), (len(asked.reference.correct),))


def _robustness(asked: GroupAsked) -> Inputs:
    """The reference is the baseline, so its own value is 1."""
    clean, candidate_clean = asked.clean
    baseline = (asked.reference.correct, clean)
    return Inputs((*baseline, *baseline), (asked.candidate.correct, candidate_clean, *baseline), (len(clean),))


GROUP_INPUTS: Mapping[Kind, Callable[[GroupAsked], Inputs]] = {
    "corruptions": _corruptions,
    "robustness": _robustness,
}
"""Kind of metric to its arguments, for metrics about the same pictures in several tasks."""
