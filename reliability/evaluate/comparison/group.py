"""Reference and candidate on several tasks of the same pictures, such as corruptions.

A picture's answers under all corruptions come and go together: they are no
independent evidence, so limits draw pictures and not answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reliability.errors import DataError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.details import Details
from reliability.evaluate.comparison.group_inputs import GROUP_INPUTS, GroupAsked, GroupSide, Marks
from reliability.evaluate.comparison.limits import REPLICATES
from reliability.evaluate.comparison.measure import Settings, find_judgeable, measured
from reliability.types import I64, Comparison, Embeddings, Strings, TaskGroup


class Cell(NamedTuple):
    """One corruption at one severity, and both models' answers to it, [N] each."""

    corruption: str
    severity: int
    reference: Marks
    candidate: Marks


@dataclass(frozen=True)
class GroupPair:
    """Both models on a group of tasks; built by :meth:`of`.

    Attributes:
        group: The tasks.
        corruptions: K names, in the order of the answers.
        reference, candidate: Answers of each model.
    """

    group: TaskGroup
    corruptions: tuple[str, ...]
    reference: GroupSide
    candidate: GroupSide

    @classmethod
    def of(cls, group: TaskGroup, pairs: Iterable[Pair], clean: Pair | None = None) -> GroupPair:
        """Keep the answers of each pair, which are taken one by one: embeddings of all would fill the memory.

        Args:
            group: Of tasks ``noise/<corruption>/<severity>``.
            pairs: Of its tasks, in any order.
            clean: Of the task that shows the pictures as they are.

        Raises:
            UsageError: A task that is no corruption, or corruptions at different severities.
            DataError: Tasks that do not show the same pictures in the same order, or pictures
                that the clean task does not show.
        """
        cells, ids = _cells(group, pairs)
        corruptions = tuple(dict.fromkeys(cell.corruption for cell in cells))
        grids = [_grid(group, corruptions, cells, side) for side in ("reference", "candidate")]
        plain: list[Marks | None] = [None, None]
        if clean is not None:
            rows = _rows_of(group, ids, clean.reference.part.ids)
            plain = [_right(part)[rows] for part in (clean.reference.part, clean.candidate.part)]
        return cls(group, corruptions, GroupSide(grids[0], plain[0]), GroupSide(grids[1], plain[1]))

    def harm(
        self, metric: str, score: str = "", *, level: float = 0.95, seed: int = 0, replicates: int = REPLICATES
    ) -> Comparison:
        """How much worse the candidate is over all tasks of the group, with one-sided limits.

        Args:
            metric: A registered metric about corruptions. Where it needs a baseline, that is
                the reference, whose own value is then 1.
            score: Must be empty.
            level, seed, replicates: As of :meth:`Pair.harm`.

        Raises:
            UsageError: The metric is about something else, or a score was named.
            UndefinedMetricError: The metric has no value on these pictures.
        """
        if score:
            raise UsageError(
                where=f"group {self.group.name}", what="this metric takes no score", got=f"score {score!r}",
                next="remove the score",
            )  # fmt: skip
        chosen = find_judgeable(metric, GROUP_INPUTS, "a group of tasks")
        inputs = GROUP_INPUTS[chosen.kind](GroupAsked(self.group.name, metric, self.reference, self.candidate))
        return measured(chosen, "", inputs, self._details, Settings(level, seed, replicates))

    def _details(self) -> Details:
        """Top-1 accuracy of both models under each corruption, over its severities, and the tasks that entered."""
        sides = {"reference": self.reference, "candidate": self.candidate}
        means = {side: answers.correct.mean(axis=(0, 2)).tolist() for side, answers in sides.items()}
        return {
            "groups": {name: {side: means[side][k] for side in sides} for k, name in enumerate(self.corruptions)},
            "tasks": [task.name for task in self.group.tasks],
        }


def _right(part: Embeddings) -> Marks:
    right: Marks = part.cosines.argmax(axis=1) == part.labels
    return right


def _cells(group: TaskGroup, pairs: Iterable[Pair]) -> tuple[list[Cell], Strings]:
    """Answers task by task, and the pictures they are about."""
    cells: list[Cell] = []
    ids: Strings | None = None
    for pair in pairs:
        part = pair.reference.part
        ids = part.ids if ids is None else ids
        if not np.array_equal(ids, part.ids):
            raise DataError(
                where=f"group {group.name}, task {pair.task.name}",
                what="the tasks of a group do not show the same pictures in the same order",
                got=f"{len(part.ids)} pictures, {len(ids)} in the tasks before",
                next="group tasks of the same pictures only",
            )
        cells.append(Cell(*_kind_of_noise(group, pair.task.name), _right(part), _right(pair.candidate.part)))
    assert ids is not None, "a group has a task"
    return cells, ids


def _kind_of_noise(group: TaskGroup, task: str) -> tuple[str, int]:
    role, _, rest = task.partition("/")
    corruption, _, severity = rest.rpartition("/")
    if role != "noise" or not corruption or not severity.isdecimal():
        raise UsageError(
            where=f"group {group.name}", what="a group holds tasks noise/<corruption>/<severity>", got=task,
            next="narrow the group's patterns",
        )  # fmt: skip
    return corruption, int(severity)


def _grid(group: TaskGroup, corruptions: tuple[str, ...], cells: list[Cell], side: str) -> Marks:
    """[N, K, S], severities increasing.

    Raises:
        UsageError: The corruptions do not all come at the same severities.
    """
    of: dict[tuple[str, int], Any] = {(cell.corruption, cell.severity): getattr(cell, side) for cell in cells}
    severities = sorted({cell.severity for cell in cells})
    lacking = [f"noise/{name}/{s}" for name in corruptions for s in severities if (name, s) not in of]
    if lacking:
        raise UsageError(
            where=f"group {group.name}", what="all corruptions of a group come at the same severities",
            got=f"no {', '.join(lacking[:3])}", next="let the group's patterns give every corruption all of them",
        )  # fmt: skip
    return np.stack([np.stack([of[name, s] for s in severities], axis=1) for name in corruptions], axis=1)


def _rows_of(group: TaskGroup, ids: Strings, clean: Strings) -> I64:
    """Row of each damaged picture among the clean ones.

    Raises:
        DataError: One is not there.
    """
    row_of = {name: row for row, name in enumerate(clean.tolist())}
    strange = [name for name in ids.tolist() if name not in row_of]
    if strange:
        raise DataError(
            where=f"group {group.name}", what="the clean task does not show all of the damaged pictures",
            got=f"{len(strange)} of {len(ids)} missing, such as {strange[0]}",
            next="name the task they were made from, or leave `clean` out and judge mean_corruption_accuracy",
        )  # fmt: skip
    return np.array([row_of[name] for name in ids.tolist()], dtype=np.int64)
