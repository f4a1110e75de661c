"""What a threshold file says, as frozen records, and which of it covers a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from reliability.errors import ThresholdError
from reliability.types import Relation, Task, TaskGroup

EVERYTHING = ("*",)


@dataclass(frozen=True)
class Scope:
    """Which cases an entry covers: in each field, any glob may match.

    Conventions:
        Case matters, and ``*`` also matches ``/``: ``noise/*`` covers every
        corruption at every severity. Where ``group`` is given, the entry is about
        groups of tasks and covers no single task.
    """

    model: tuple[str, ...] = EVERYTHING
    recipe: tuple[str, ...] = EVERYTHING
    task: tuple[str, ...] = EVERYTHING
    group: tuple[str, ...] = ()

    def covers(self, model: str, recipe: str, task: str) -> bool:
        """Whether all three names match."""
        return not self.group and self._covers_candidate(model, recipe) and _any_match(self.task, task)

    def covers_group(self, model: str, recipe: str, group: str) -> bool:
        """Whether it is about groups and all three names match."""
        return self._covers_candidate(model, recipe) and _any_match(self.group, group)

    def _covers_candidate(self, model: str, recipe: str) -> bool:
        return _any_match(self.model, model) and _any_match(self.recipe, recipe)


@dataclass(frozen=True)
class Bound:
    """One line of a threshold file: what a claim allows, where, and why.

    Attributes:
        claim: Name of the claim.
        applies: The cases it covers.
        metric, score: What is measured; ``score`` is empty where the metric needs none.
        relation: How the figure is held against the margin.
        margin: The harm allowed, or for ``at_least`` and ``at_most`` the candidate's
            limit, in the metric's unit; 0 for ``improves`` and ``differs``.
        gate: Whether it can fail a run; otherwise it is observed.
        reason: Why the margin is what it is.
        level: Confidence of each one-sided limit.
        min_images: Fewer images than this are no evidence.
        file, index, line: Where it stands; ``index`` counts from 1, ``line`` is None if unknown.
    """

    claim: str
    applies: Scope
    metric: str
    score: str
    relation: Relation
    margin: float
    gate: bool
    reason: str
    level: float
    min_images: int
    file: str
    index: int
    line: int | None = None

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.file}, bound {self.index}"


@dataclass(frozen=True)
class Group:
    """Tasks of the same pictures, such as corruptions, that a bound judges together.

    Attributes:
        name: As bounds call it.
        task: Globs on the names of its tasks.
        clean: Name of the task that shows the pictures as they are; empty for none.
        file, index, line: Where it stands, as in :class:`Bound`.
    """

    name: str
    task: tuple[str, ...]
    clean: str
    file: str
    index: int
    line: int | None = None

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.file}, group {self.index}"

    def gather(self, tasks: Mapping[str, Task]) -> TaskGroup | None:
        """Its tasks in the order of a data set; None where the data set has none of them.

        Raises:
            ThresholdError: The data set has some of them but not others, no task of the name
                of ``clean``, or a task that is called like the group.
        """
        idle = [pattern for pattern in self.task if not any(fnmatchcase(name, pattern) for name in tasks)]
        if len(idle) == len(self.task):
            return None
        if idle:
            raise self._error("the data have only some tasks of this group", f"none for {', '.join(idle)}")
        if self.clean and self.clean not in tasks:
            raise self._error("the data have no such task", f"clean = {self.clean!r}")
        if self.name in tasks:
            raise self._error("a task has the name of this group", repr(self.name))
        members = tuple(task for name, task in tasks.items() if _any_match(self.task, name))
        return TaskGroup(self.name, members, tasks[self.clean] if self.clean else None)

    def _error(self, what: str, got: str) -> ThresholdError:
        return ThresholdError(
            where=f"{self.place}{_on_line(self)}", what=what, got=got,
            next="name what is there: reliability list tasks --data ...",
        )  # fmt: skip


@dataclass(frozen=True)
class Floor:
    """What the reference itself must reach before anything is held against it.

    Attributes:
        model: Globs on the reference's name, any of which may match.
        task: Name of the task it is measured on.
        metric, score: What is measured.
        relation: ``at_least`` or ``at_most``.
        limit: In the metric's unit.
        reason: Why the limit is what it is.
        min_images: Fewer images than this are no evidence.
        file, index, line: Where it stands, as in :class:`Bound`.
    """

    model: tuple[str, ...]
    task: str
    metric: str
    score: str
    relation: Literal["at_least", "at_most"]
    limit: float
    reason: str
    min_images: int
    file: str
    index: int
    line: int | None = None

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.file}, floor {self.index}"


@dataclass(frozen=True)
class Proposed:
    """What margins of a file were measured on, by ``reliability propose``.

    Attributes:
        data: As ``--data`` takes them.
        references, recipes: What was run.
        draws: Draws of range-setting pictures of each recipe.
        factor: What the largest limit of harm was multiplied by.
        limit: Pictures of each source, None for all.
        file: The threshold file that says so.
    """

    data: str
    references: tuple[str, ...]
    recipes: tuple[str, ...]
    draws: int
    factor: float
    limit: int | None
    file: str


@dataclass(frozen=True)
class ThresholdFile:
    """A threshold file, read.

    Attributes:
        path: As the user gave it.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        recipes: What a full run covers.
        bounds, floors, groups: In file order.
        proposed: What margins were measured on, for each file that says so.
    """

    path: str
    digest: str
    recipes: tuple[str, ...]
    bounds: tuple[Bound, ...]
    floors: tuple[Floor, ...]
    groups: tuple[Group, ...] = ()
    proposed: tuple[Proposed, ...] = ()

    def notes_on(self, data: str) -> tuple[str, ...]:
        """What a report on these data must say: that margins were measured on the very pictures that they judge."""
        same = [proposed.file for proposed in self.proposed if proposed.data == data]
        return tuple(
            f"margins of {file} were proposed on {data}, the very pictures of this run: that they hold here is no "
            "evidence; judge other pictures, or another seed of these"
            for file in same
        )

    def bounds_for(self, claim: str, model: str, recipe: str, task: str) -> list[Bound]:
        """The bounds on one case of a claim, at most one per metric and score.

        Raises:
            ThresholdError: Two bounds judge the same figure of the same case.
        """
        found = [b for b in self.bounds if b.claim == claim and b.applies.covers(model, recipe, task)]
        _refuse_rivals(found, lambda b: (b.metric, b.score), f"{claim}, {model}, {recipe}, {task}")
        return found

    def group_bounds_for(self, claim: str, model: str, recipe: str, group: str) -> list[Bound]:
        """The bounds on a group of tasks, as :meth:`bounds_for` has those on one task."""
        found = [b for b in self.bounds if b.claim == claim and b.applies.covers_group(model, recipe, group)]
        _refuse_rivals(found, lambda b: (b.metric, b.score), f"{claim}, {model}, {recipe}, {group}")
        return found

    def floors_for(self, model: str) -> list[Floor]:
        """The floors of one reference, on any task.

        Raises:
            ThresholdError: Two floors set the same limit of the same figure.
        """
        found = [f for f in self.floors if _any_match(f.model, model)]
        _refuse_rivals(found, lambda f: (f.task, f.metric, f.score, f.relation), f"reference {model}")
        return found

    def unmatched(self, used: Iterable[Bound]) -> tuple[Bound, ...]:
        """Bounds that judged nothing, given those that did; on a full run each is an error."""
        seen = set(used)
        return tuple(bound for bound in self.bounds if bound not in seen)


_Item = TypeVar("_Item", Bound, Floor)


def _any_match(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _refuse_rivals(found: list[_Item], figure: Callable[[_Item], tuple[str, ...]], case: str) -> None:
    first: dict[tuple[str, ...], _Item] = {}
    for item in found:
        rival = first.setdefault(figure(item), item)
        if rival is not item:
            raise ThresholdError(
                where=f"{rival.place}{_on_line(rival)} and {item.place}{_on_line(item)}",
                what="two entries judge one figure of one case",
                got=f"{case}: {' '.join(filter(None, figure(item)))}",
                next="narrow the patterns of one of them, or remove it",
            )


def _on_line(item: Bound | Floor | Group) -> str:
    return f" (line {item.line})" if item.line else ""
