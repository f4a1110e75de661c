"""Which cases a run judges: bounds met with models, recipes and tasks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property

from reliability.claims.bounds import Bound, ThresholdFile
from reliability.errors import UsageError
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe, list_recipes, parse_recipe
from reliability.types import Task


@dataclass(frozen=True)
class Case:
    """One claim on one model, recipe and task, judged by one bound."""

    claim: str
    model: ModelSpec
    recipe: Recipe
    task: Task
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

    Raises:
        UsageError: A name that is no recipe, or a glob that matches none.
    """
    own = own or {}
    known = list(dict.fromkeys([*own, *listed, *list_recipes()]))
    names: dict[str, None] = {}
    for pattern in wanted:
        is_glob = any(sign in pattern for sign in "*?[")
        found = [name for name in known if fnmatchcase(name, pattern)] if is_glob else [pattern]
        if not found:
            near = difflib.get_close_matches(pattern, known, 3)
            raise UsageError(
                where=f"--recipes {pattern}",
                what="no known recipe matches this pattern",
                got=repr(pattern),
                next=f"close: {', '.join(near)}" if near else "see: reliability list recipes",
            )
        names.update(dict.fromkeys(found))
    return tuple(own[name] if name in own else parse_recipe(name) for name in names)


@dataclass
class Plan:
    """Everything a run could judge; cases are drawn from it claim by claim.

    Attributes:
        used: Bounds that met a case so far.
    """

    thresholds: ThresholdFile
    models: tuple[ModelSpec, ...]
    recipes: tuple[Recipe, ...]
    tasks: Mapping[str, Task]
    used: set[Bound] = field(default_factory=set)

    def cases(self, claim: str) -> list[Case]:
        """Cases of one claim, grouped by model and recipe so that candidates are loaded once.

        Conventions:
            Claims of improvement are searched for the ones that hold, so they are corrected
            together: with K of them in the run, each is judged at level 1 - (1 - level) / K.
            That is the first step of Holm's procedure, taken for all, because a case is judged
            before the p-values of the others exist; it never errs more often than Holm's.
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
    def _improvements(self) -> int:
        """How many cases of the run claim an improvement."""
        return sum(case.bound.relation == "improves" for claim in self._claims for case in self._found(claim))

    def _corrected(self, bound: Bound) -> Bound:
        if bound.relation != "improves":
            return bound
        return replace(bound, level=1.0 - (1.0 - bound.level) / self._improvements)

    def _found(self, claim: str) -> list[Case]:
        return [
            Case(claim, model, recipe, task, bound)
            for model in self.models
            for recipe in self.recipes
            for task in self.tasks.values()
            for bound in self.thresholds.bounds_for(claim, model.name, recipe.name, task.name)
        ]

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
                next="add a bound whose recipe pattern matches it, or name another recipe",
            )
