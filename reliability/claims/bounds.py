"""What a threshold file says, as frozen records, and which of it covers a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from reliability.errors import ThresholdError
from reliability.types import Relation

EVERYTHING = ("*",)


@dataclass(frozen=True)
class Scope:
    """Which cases an entry covers: in each field, any glob may match.

    Conventions:
        Case matters, and ``*`` also matches ``/``: ``noise/*`` covers every
        corruption at every severity.
    """

    model: tuple[str, ...] = EVERYTHING
    recipe: tuple[str, ...] = EVERYTHING
    task: tuple[str, ...] = EVERYTHING

    def covers(self, model: str, recipe: str, task: str) -> bool:
        """Whether all three names match."""
        return _any_match(self.model, model) and _any_match(self.recipe, recipe) and _any_match(self.task, task)


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
class ThresholdFile:
    """A threshold file, read.

    Attributes:
        path: As the user gave it.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        recipes: What a full run covers.
        bounds, floors: In file order.
    """

    path: str
    digest: str
    recipes: tuple[str, ...]
    bounds: tuple[Bound, ...]
    floors: tuple[Floor, ...]

    def bounds_for(self, claim: str, model: str, recipe: str, task: str) -> list[Bound]:
        """The bounds on one case of a claim, at most one per metric and score.

        Raises:
            ThresholdError: Two bounds judge the same figure of the same case.
        """
        found = [b for b in self.bounds if b.claim == claim and b.applies.covers(model, recipe, task)]
        _refuse_rivals(found, lambda b: (b.metric, b.score), f"{claim}, {model}, {recipe}, {task}")
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


def _on_line(item: Bound | Floor) -> str:
    return f" (line {item.line})" if item.line else ""
