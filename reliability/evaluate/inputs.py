"""From both models' embeddings on a task to the arguments of a metric."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import UsageError
from reliability.metrics.answers import read_answers
from reliability.metrics.kinds import Kind
from reliability.metrics.scores import get_score
from reliability.metrics.scores.evidence import Evidence
from reliability.types import F64, Embeddings, Strings, Task


@dataclass(frozen=True)
class Side:
    """One model on a task: the task's pictures and, for OOD tasks, the familiar ones."""

    part: Embeddings
    familiar: Embeddings | None = None


@dataclass(frozen=True)
class Asked:
    """What is to be measured: one metric's kind and score, on both models."""

    task: Task
    reference: Side
    candidate: Side
    score: str

    @property
    def parts(self) -> tuple[Embeddings, Embeddings]:
        """The task's own pictures under both models."""
        return self.reference.part, self.candidate.part

    def without_score(self) -> tuple[Embeddings, Embeddings]:
        """Both parts, for a metric that has no use for a score.

        Raises:
            UsageError: A score was named.
        """
        if self.score:
            raise UsageError(
                where=f"task {self.task.name}", what="this metric takes no score",
                got=f"score {self.score!r}", next="remove the score, or use auroc or fpr95 on an ood/* task",
            )  # fmt: skip
        return self.parts

    def scored(self, embeddings: Embeddings) -> F64:
        """The named score of each picture.

        Raises:
            UsageError: No score was named, or it needs more than embeddings hold.
        """
        if not self.score:
            raise UsageError(
                where=f"task {self.task.name}", what="this metric is about a score of each picture",
                got="no score", next='name one in the bound, such as score = "mcm"',
            )  # fmt: skip
        return get_score(self.score).fn(Evidence.of(embeddings))


@dataclass(frozen=True)
class Inputs:
    """Arguments of a metric for each model.

    Attributes:
        reference, candidate: As the metric's ``fn`` takes them. A metric that compares two
            models gets the reference twice for the reference's own value.
        sizes: Number of pictures in each set that is resampled on its own.
    """

    reference: tuple[Any, ...]
    candidate: tuple[Any, ...]
    sizes: tuple[int, ...]


def _classification(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs((first.logits, first.labels), (second.logits, second.labels), (len(first.labels),))


def fitting_half(ids: Strings) -> NDArray[np.bool_]:
    """Which pictures something is fitted on, so that the others can be judged: about half.

    A property of the picture's name alone, so every model, task and order of
    pictures splits alike.
    """
    return np.array([hashlib.blake2b(name.encode(), digest_size=1).digest()[0] & 1 for name in ids.tolist()], bool)


def _fitted(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    fit = fitting_half(first.ids)
    sides = [(part.logits[fit], part.labels[fit], part.logits[~fit], part.labels[~fit]) for part in (first, second)]
    return Inputs(sides[0], sides[1], (int((~fit).sum()),))


def _selective(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    both = [read_answers("confidence", part.logits, part.labels) for part in (first, second)]
    columns = [(answers.confidence, answers.correct) for answers in both]
    return Inputs(columns[0], columns[1], (len(first.labels),))


def _grouped(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs(
        (first.logits, first.labels, first.groups), (second.logits, second.labels, second.groups), (len(first.labels),)
    )


def _agreement(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs(
        (first.logits, first.logits, first.labels), (first.logits, second.logits, first.labels), (len(first.labels),)
    )


def _grouped_agreement(asked: Asked) -> Inputs:
    apart = _agreement(asked)
    groups = asked.reference.part.groups
    return Inputs((*apart.reference, groups), (*apart.candidate, groups), apart.sizes)


def _separation(asked: Asked) -> Inputs:
    if asked.reference.familiar is None:
        raise UsageError(
            where=f"task {asked.task.name}", what="telling unfamiliar pictures apart needs an ood/* task",
            got=asked.task.name, next='apply the bound to tasks "ood/*"',
        )  # fmt: skip
    columns = [
        tuple(asked.scored(part) for part in (side.familiar, side.part) if part is not None)
        for side in (asked.reference, asked.candidate)
    ]
    return Inputs(columns[0], columns[1], tuple(len(column) for column in columns[0]))


def _paired_scores(asked: Asked) -> Inputs:
    first, second = (asked.scored(part) for part in asked.parts)
    return Inputs((first, first), (first, second), (len(first),))


def _features(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs((first.image,), (second.image,), (len(first.ids),))


def _paired_features(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs((first.image, first.image), (first.image, second.image), (len(first.ids),))


INPUTS: Mapping[Kind, Callable[[Asked], Inputs]] = {
    "classification": _classification,
    "fitted": _fitted,
    "selective": _selective,
    "grouped": _grouped,
    "agreement": _agreement,
    "grouped_agreement": _grouped_agreement,
    "separation": _separation,
    "paired_scores": _paired_scores,
    "features": _features,
    "paired_features": _paired_features,
}
"""Kind of metric to its arguments; metrics of other kinds need more than one task's embeddings."""
