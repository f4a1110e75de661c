"""Which cases a run judges: bounds met with models, recipes and tasks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property

from reliability.claims.bounds import Bound, ThresholdFile
from reliability.errors import UsageError
from reliability.evaluate.comparison.counted import COUNTED
from reliability.evaluate.running.candidate import Candidate
from reliability.models.record import ModelSpec
from reliability.quant.backends.naming import on_backend
from reliability.quant.backends.registry import SUFFIX
from reliability.quant.recipe import Recipe, list_recipes, parse_recipe
from reliability.types import Task, TaskGroup

SEARCHED = ("improves", "worsens")
"""Relations that claim a change; those of a run share one error rate."""


@dataclass(frozen=True)
class Case:
    """One claim on one model, recipe and task, or group of tasks, judged by one bound."""

    claim: str
    model: ModelSpec
    recipe: Candidate
    task: Task | TaskGroup
    bound: Bound

    @property
    def id(self) -> str:
        """Readable and unique within a claim, such as ``scenes-web-w4a8-minmax-ood/near-auroc-mcm``."""
        parts = (self.model.name, self.recipe.name, self.task.name, self.bound.metric, self.bound.score)
        return "-".join(part for part in parts if part)

    @property
    def name(self) -> str:
        """The id with its claim, as reports and ``reliability explain`` know it."""
        return f"{self.claim}[{self.id}]"

    @property
    def worker_group(self) -> str:
        """Cases that share a model and a recipe belong on one worker."""
        return f"{self.model.name}/{self.recipe.name}"


def choose_recipes(
    wanted: Sequence[str], listed: Sequence[str], own: Mapping[str, Recipe] | None = None
) -> tuple[Recipe, ...]:
    """Recipes by name or glob; a glob draws from the user's own, the threshold file's list and the built-in one.

    Conventions:
        A glob without ``@`` finds no recipe that needs kernels, which may not be here. A
        user's own recipe takes a backend after its name, as others do.

    Raises:
        UsageError: A name that is no recipe, or a glob that matches none.
    """
    own = own or {}
    known = list(dict.fromkeys([*own, *listed, *list_recipes()]))
    names: dict[str, None] = {}
    for pattern in wanted:
        is_glob = any(sign in pattern for sign in "*?[")
        found = [name for name in known if _matches(name, pattern)] if is_glob else [pattern]
        if not found:
            near = difflib.get_close_matches(pattern, known, 3)
            raise UsageError(
                where=f"--recipes {pattern}",
                what="no known recipe matches this pattern",
                got=repr(pattern),
                next=f"close: {', '.join(near)}" if near else "see: reliability list recipes",
            )
        names.update(dict.fromkeys(found))
    return tuple(_recipe(name, own) for name in names)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (SUFFIX in pattern or SUFFIX not in name)


def _recipe(name: str, own: Mapping[str, Recipe]) -> Recipe:
    plain, at, backend = name.partition(SUFFIX)
    if plain not in own:
        return parse_recipe(name)
    return on_backend(own[plain], backend) if at else own[plain]


@dataclass
class Plan:
    """Everything a run could judge; cases are drawn from it claim by claim.

    Attributes:
        recipes: What is judged against each model: recipes, and models of the user's own.
        used: Bounds that met a case so far.
    """

    thresholds: ThresholdFile
    models: tuple[ModelSpec, ...]
    recipes: tuple[Candidate, ...]
    tasks: Mapping[str, Task]
    used: set[Bound] = field(default_factory=set)

    def cases(self, claim: str) -> list[Case]:
        """Cases of one claim, grouped by model and recipe so that candidates are loaded once.

        Conventions:
            Claims of a change for the better or the worse are searched for the ones that hold, so
            they are corrected together: with K of them in the run, each is judged at level
            1 - (1 - level) / K. That is the first step of Holm's procedure, taken for all, because a
            case is judged before the p-values of the others exist; it never errs more often than
            Holm's.
        """
        found = self._found(claim)
        self.used.update(case.bound for case in found)
        return [replace(case, bound=self._corrected(case.bound)) for case in found]

    def all_cases(self) -> set[str]:
        """Names of the cases of every claim that the threshold file speaks of."""
        return {case.name for claim in self._claims for case in self.cases(claim)}

    @property
    def _claims(self) -> set[str]:
        return {bound.claim for bound in self.thresholds.bounds}

    @cached_property
    def _searched(self) -> int:
        """How many cases of the run claim a change."""
        return sum(case.bound.relation in SEARCHED for claim in self._claims for case in self._found(claim))

    def _corrected(self, bound: Bound) -> Bound:
        if bound.relation not in SEARCHED:
            return bound
        return replace(bound, level=1.0 - (1.0 - bound.level) / self._searched)

    def _found(self, claim: str) -> list[Case]:
        return [
            Case(claim, model, recipe, task, bound)
            for model in self.models
            for recipe in self.recipes
            for task in self._judged
            for bound in self._bounds_for(claim, model.name, recipe.name, task)
            # A model of the user's own shows nothing of what runs quantized in it; the report notes that.
            if isinstance(recipe, Recipe) or bound.metric not in COUNTED
        ]

    @property
    def _judged(self) -> list[Task | TaskGroup]:
        return [*self.tasks.values(), *self.groups]

    def _bounds_for(self, claim: str, model: str, recipe: str, task: Task | TaskGroup) -> list[Bound]:
        find = self.thresholds.bounds_for if isinstance(task, Task) else self.thresholds.group_bounds_for
        return find(claim, model, recipe, task.name)

    @cached_property
    def groups(self) -> tuple[TaskGroup, ...]:
        """Groups of the threshold file whose tasks these data have.

        Raises:
            ThresholdError: The data have only part of a group.
        """
        gathered = (group.gather(self.tasks) for group in self.thresholds.groups)
        return tuple(group for group in gathered if group is not None)

    def worker_groups(self) -> dict[str, str]:
        """How the ids of a model's and recipe's cases start, and the group they form."""
        pairs = [(model.name, recipe.name) for model in self.models for recipe in self.recipes]
        return {f"{model}-{recipe}-": f"{model}/{recipe}" for model, recipe in pairs}

    def check_recipes_matched(self, claims: Iterable[str]) -> None:
        """Every recipe of the run must be judged by something.

        Raises:
            UsageError: No bound of any collected claim applies to a recipe.
        """
        judged = {case.recipe.name for claim in set(claims) for case in self.cases(claim)}
        silent = [recipe.name for recipe in self.recipes if recipe.name not in judged]
        if silent:
            raise UsageError(
                where=self.thresholds.path,
                what="no bound applies to a recipe of this run, so nothing would be judged",
                got=", ".join(silent),
                next="add a bound whose recipe pattern matches it, or name another recipe; a candidate of your own is "
                "matched by its name: --candidate w8a8-mine=onnx:DIR",
            )
