"""From a plan to the distinct evaluation runs it asks for; nothing is decoded or loaded.

One evaluation run is one model, recipe, task, score and metric giving one figure.
The runs of a model and recipe on a task are a unit: they share embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from reliability.data.registry import DataSet, open_data
from reliability.errors import UsageError
from reliability.evaluate.comparison.inputs import INPUTS
from reliability.metrics.kinds import Kind
from reliability.metrics.registry import Metric, all_metrics
from reliability.metrics.scores import get_score
from reliability.models.spec import ModelSpec, parse_model
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.sweep.plan import CandidateGrid, QuestionGrid, SweepPlan
from reliability.types import Task

ABOUT_A_SCORE: frozenset[Kind] = frozenset({"separation", "paired_scores"})
"""Kinds that need a score; ``selective`` may have one in place of the largest probability."""
_UNFAMILIAR: frozenset[Kind] = frozenset({"separation", "paired_scores", "features", "paired_features"})
_IN_GROUPS: frozenset[Kind] = frozenset({"grouped", "grouped_agreement"})


class Question(NamedTuple):
    """One figure asked of a model, recipe and task."""

    metric: str
    score: str
    limits: bool


@dataclass(frozen=True)
class Unit:
    """The runs of one model and recipe on one task.

    Attributes:
        data: As ``--data`` takes it.
    """

    data: str
    model: ModelSpec
    recipe: Recipe
    task: str
    questions: tuple[Question, ...]

    @property
    def fits(self) -> bool:
        """Whether a question is about a score that is fitted on familiar pictures first."""
        return any(q.score and "training" in get_score(q.score).needs for q in self.questions)


@dataclass(frozen=True)
class Grid:
    """All units of a plan, no two of them alike.

    Attributes:
        units: Ordered so that candidates of one model on one task follow one another.
        copies: Candidates that were left out because they are others under another name,
            such as a second draw of a recipe that draws nothing.
    """

    units: tuple[Unit, ...]
    copies: tuple[str, ...]

    @cached_property
    def runs(self) -> int:
        """Number of evaluation runs."""
        return sum(len(unit.questions) for unit in self.units)


def expand(plan: SweepPlan, root: Path | None = None, opened: Mapping[str, DataSet] | None = None) -> Grid:
    """Work out the runs of a plan.

    Args:
        plan: As read.
        root: Where data sets lie.
        opened: Data that need not be opened, by what the plan calls them.

    Raises:
        UsageError: An unknown model, recipe, metric or score, a pattern that meets
            nothing, or a score that a metric of the plan needs and nobody names.
    """
    questions = _Questions(plan)
    units: list[Unit] = []
    copies: list[str] = []
    seen: set[str] = set()
    for number, grid in enumerate(plan.candidates, start=1):
        data = (opened or {}).get(grid.data) or open_data(grid.data, root, plan.limit)
        candidates = []
        for model, recipe in _candidates(grid, f"{plan.path}, candidates {number}"):
            key = _identity(grid.data, model, recipe)
            (copies.append(f"{model.name} {recipe.name}") if key in seen else candidates.append((model, recipe)))
            seen.add(key)
        asked = questions.of(data, {recipe.name for _, recipe in candidates})
        units += _ordered(grid.data, candidates, asked)
    questions.check_all_met()
    if not units:
        raise UsageError(
            where=plan.path, what="the plan asks for no run at all", next="let [[questions]] name tasks of its data"
        )
    return Grid(tuple(units), tuple(copies))


def _ordered(
    data: str,
    candidates: Sequence[tuple[ModelSpec, Recipe]],
    asked: Mapping[str, Mapping[str, tuple[Question, ...]]],
) -> Iterator[Unit]:
    """Units of candidates, given what is asked of each recipe by task."""
    tasks = next(iter(asked.values()), {})  # every recipe has them all, if with nothing asked
    for model in dict.fromkeys(model for model, _ in candidates):
        for task in tasks:
            for owner, recipe in candidates:
                if owner == model and asked[recipe.name][task]:
                    yield Unit(data, model, recipe, task, asked[recipe.name][task])


def _candidates(grid: CandidateGrid, where: str) -> Iterator[tuple[ModelSpec, Recipe]]:
    for text in grid.models:
        model = parse_model(text)
        for name in grid.recipes:
            for tower in grid.towers or (None,):
                for draw in grid.draws or (None,):
                    yield model, parse_recipe(_full_name(name, tower, draw, where))


def _full_name(name: str, tower: str | None, draw: int | None, where: str) -> str:
    """A recipe's name with the suffixes that the grid puts in."""
    recipe = parse_recipe(name)
    if (tower and recipe.towers != "vision") or (draw is not None and recipe.seed):
        raise UsageError(
            where=where, what="the plan and the recipe's name both choose towers or draws", got=name,
            next="leave the suffix out of the name, or towers and draws out of the plan",
        )  # fmt: skip
    if recipe.is_float:
        return name
    stem, at, backend = name.partition("@")
    text = f"-{tower}" if tower and tower != "vision" else ""
    return f"{stem}{text}{f'-s{draw}' if draw else ''}{at}{backend}"


def _identity(data: str, model: ModelSpec, recipe: Recipe) -> str:
    """What makes a candidate what it is, whatever it is called."""
    fields = dict(recipe.identity)
    if not recipe.depends_on_draw:
        fields.pop("seed", None)
    return json.dumps([data, dict(model.identity), fields], sort_keys=True, default=str)


class _Questions:
    """Questions of a plan by task, keeping count of which patterns met something."""

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._numbered = list(enumerate(plan.questions, start=1))
        self._met: set[tuple[int, str]] = set()
        self._metrics = [m for m in all_metrics() if m.weighted is not None and m.kind in INPUTS]
        for number, grid in self._numbered:
            for score in grid.scores:
                get_score(score)
            self._chosen(grid, number)

    def of(self, data: DataSet, recipes: Iterable[str]) -> dict[str, dict[str, tuple[Question, ...]]]:
        """Recipe and task name to what is asked of them, each question once."""
        # Recipes of which the same is asked share the answer: plans have hundreds of them.
        shared: dict[tuple[int, ...], dict[str, tuple[Question, ...]]] = {}
        found = {}
        for recipe in recipes:
            grids = tuple(number for number, grid in self._numbered if self._meets(number, grid.recipes, recipe))
            if grids not in shared:
                shared[grids] = {name: self._on(task, grids) for name, task in data.tasks.items()}
            found[recipe] = shared[grids]
        return found

    def _on(self, task: Task, grids: Sequence[int]) -> tuple[Question, ...]:
        asked: dict[tuple[str, str], bool] = {}
        for number in grids:
            grid = self._plan.questions[number - 1]
            if self._meets(number, grid.tasks, task.name):
                for metric, score in self._questions(grid, number, task):
                    asked[metric, score] = asked.get((metric, score), False) or grid.limits
        return tuple(Question(metric, score, limits) for (metric, score), limits in asked.items())

    def _meets(self, number: int, patterns: Sequence[str], name: str) -> bool:
        found = {(number, pattern) for pattern in patterns if fnmatchcase(name, pattern)}
        self._met |= found
        return bool(found)

    def check_all_met(self) -> None:
        """Refuse patterns that meet no recipe of the plan, and those that no data set of it has a task for."""
        for number, grid in self._numbered:
            for patterns, what, listing in (
                (grid.recipes, "no candidate of this plan has such a name", "list recipes"),
                (grid.tasks, "no data of this plan have such a task", "list tasks"),
            ):
                idle = [pattern for pattern in patterns if (number, pattern) not in self._met]
                if idle:
                    raise self._error(number, what, ", ".join(idle), listing)

    def _questions(self, grid: QuestionGrid, number: int, task: Task) -> Iterator[tuple[str, str]]:
        for metric in self._chosen(grid, number):
            if not _fits(metric.kind, task):
                continue
            scores = [s for s in grid.scores if task.fit is not None or "training" not in get_score(s).needs]
            if metric.kind in ABOUT_A_SCORE or (metric.kind == "selective" and scores):
                if not grid.scores:
                    raise self._error(number, f"{metric.name} is about a score", "no scores", "add scores = [...]")
                yield from ((metric.name, score) for score in scores)
            else:
                yield metric.name, ""

    def _chosen(self, grid: QuestionGrid, number: int) -> list[Metric]:
        idle = [p for p in grid.metrics if not any(fnmatchcase(m.name, p) for m in self._metrics)]
        if idle:
            raise self._error(number, "no metric of one task has such a name", ", ".join(idle), "list metrics")
        return [m for m in self._metrics if any(fnmatchcase(m.name, pattern) for pattern in grid.metrics)]

    def _error(self, number: int, what: str, got: str, next: str) -> UsageError:
        hint = f"see reliability {next}" if next.startswith("list") else next
        return UsageError(where=f"{self._plan.path}, questions {number}", what=what, got=got, next=hint)


def _fits(kind: Kind, task: Task) -> bool:
    """Whether a kind of metric can be had from a task's embeddings."""
    if task.familiar is not None:
        return kind in _UNFAMILIAR
    if kind == "retrieval":
        return bool(task.matches)
    return kind != "separation" and (kind not in _IN_GROUPS or bool(task.group_names))
