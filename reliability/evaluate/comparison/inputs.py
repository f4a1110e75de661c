"""From both models' embeddings on a task to the arguments of a metric."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import DataError, UndefinedMetricError, UsageError
from reliability.evaluate.comparison.known_answers import require_known_order
from reliability.metrics.answers import Answers, read_answers
from reliability.metrics.kinds import Kind
from reliability.metrics.scores import get_score
from reliability.metrics.scores.evidence import Evidence, Training
from reliability.types import F64, Embeddings, Strings, Task


@dataclass(frozen=True)
class Side:
    """One model on a task.

    Attributes:
        part: The task's pictures.
        familiar: For OOD tasks, the pictures to tell them from.
        fit: Familiar pictures that are not evaluated, for scores that are fitted.
        known: Scores by name that were worked out already, of the familiar pictures, where there
            are any, then of the task's own.
    """

    part: Embeddings
    familiar: Embeddings | None = None
    fit: Embeddings | None = None
    known: dict[str, tuple[F64, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def answers(self) -> Answers:
        """What the model says of the task's pictures, and how sure of it."""
        return read_answers("confidence", self.part.logits, self.part.labels)


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

    def scores(self, side: Side) -> tuple[F64, ...]:
        """The named score of a side's pictures, as of :attr:`Side.known`; several kinds of metrics ask for it.

        Raises:
            UsageError, UndefinedMetricError: As of :meth:`scorer`.
        """
        if self.score not in side.known:
            scorer = self.scorer(side)
            side.known[self.score] = tuple(scorer(part) for part in (side.familiar, side.part) if part is not None)
        return side.known[self.score]

    def scorer(self, side: Side) -> Callable[[Embeddings], F64]:
        """The named score, fitted on the side's own pictures for that where it needs to be.

        Raises:
            UsageError: No score was named, it needs more than embeddings hold, or it must be
                fitted and there is nothing to fit it on.
            UndefinedMetricError: It ranks an unsure answer above a sure one.
        """
        if not self.score:
            raise UsageError(
                where=f"task {self.task.name}", what="this metric is about a score of each picture",
                got="no score", next='name one in the bound, such as score = "mcm"',
            )  # fmt: skip
        score = get_score(self.score)
        require_known_order(score)
        if "training" not in score.needs:
            return lambda embeddings: score.fn(Evidence.of(embeddings))
        if side.fit is None:
            raise UsageError(
                where=f"task {self.task.name}", what=f"score {self.score} is fitted on familiar pictures first",
                got="data without a train split", next="put one beside the evaluated split, or judge another score",
            )  # fmt: skip
        fitted = score.fit(Training.of(side.fit))
        return lambda embeddings: fitted(Evidence.of(embeddings))


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
    """Whether each answer is right, and how sure of it: the largest probability, or a score where one is named."""
    columns = []
    for side in (asked.reference, asked.candidate):
        sure = asked.scores(side)[-1] if asked.score else side.answers.confidence
        columns.append((sure, side.answers.correct))
    return Inputs(columns[0], columns[1], (len(columns[0][0]),))


def _grouped(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    _require_groups(asked.task, first)
    return Inputs(
        (first.logits, first.labels, first.groups), (second.logits, second.labels, second.groups), (len(first.labels),)
    )


def _require_groups(task: Task, part: Embeddings) -> None:
    """Pictures of one group alone have no worst one; their accuracy would pass for it."""
    present = np.unique(part.groups)
    if len(task.group_names) > 1 and len(present) < 2:
        raise UndefinedMetricError(
            where=f"task {task.name}", what="all pictures are of one group, so none of them fares worst",
            got=f"group {present.tolist()} of {len(task.group_names)}",
            next="see that groups were read from the table, or judge more pictures (is --limit set?)",
        )  # fmt: skip


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
    first, second = (asked.scores(side) for side in (asked.reference, asked.candidate))
    return Inputs(first, second, tuple(len(scores) for scores in first))


def _paired_scores(asked: Asked) -> Inputs:
    first, second = (asked.scores(side)[-1] for side in (asked.reference, asked.candidate))
    return Inputs((first, first), (first, second), (len(first),))


def _features(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs((first.image,), (second.image,), (len(first.ids),))


def _paired_features(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    return Inputs((first.image, first.image), (first.image, second.image), (len(first.ids),))


def _directions(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    sides = [(part.image, part.labels, part.text) for part in (first, second)]
    return Inputs(sides[0], sides[1], (len(first.ids),))


def _retrieval(asked: Asked) -> Inputs:
    first, second = asked.without_score()
    matches = _match_matrix(asked.task, first)
    columns = [(part.image, np.arange(len(part.ids)), part.text, matches) for part in (first, second)]
    return Inputs(columns[0], columns[1], (len(first.ids),))


def _match_matrix(task: Task, part: Embeddings) -> NDArray[np.bool_]:
    """[T, N] which prompts are true of which pictures.

    Raises:
        UsageError: The task has no matches.
        DataError: It has them for another number of pictures.
    """
    if not task.matches:
        raise UsageError(
            where=f"task {task.name}", what="retrieval needs to know which texts are true of a picture",
            got="no matches", next='apply the bound to tasks "retrieval/*"',
        )  # fmt: skip
    if len(task.matches) != len(part.ids):
        raise DataError(
            where=f"task {task.name}", what="there must be one entry of matches for each picture",
            got=f"{len(task.matches)} for {len(part.ids)} pictures", next="make the task of the source that it shows",
        )  # fmt: skip
    matrix = np.zeros((len(part.text), len(part.ids)), dtype=bool)
    for picture, rows in enumerate(task.matches):
        matrix[list(rows), picture] = True
    return matrix


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
    "directions": _directions,
    "retrieval": _retrieval,
}
"""Kind of metric to its arguments, for metrics about one task."""
