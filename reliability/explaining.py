"""Find a judged case again, and take it apart with what the cache holds or may compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from reliability.claims.bounds import Bound
from reliability.claims.cases import Case
from reliability.claims.explained import Again, Attempt, Missing, recipe_named
from reliability.claims.judge import judge
from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord
from reliability.errors import ReliabilityError, UsageError
from reliability.evaluate.comparison.breakdown import Breakdown, LayerError, break_down
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.engine import Engine
from reliability.evaluate.neighbours import neighbours
from reliability.evaluate.storage.cache import Arrays, Cache, Job
from reliability.quant.proof import Proof
from reliability.quant.recipe import Recipe
from reliability.session.gate import GateSession, needs_fit
from reliability.session.options import Options
from reliability.types import TaskGroup

_Found = TypeVar("_Found")


class _OnlyKept(Cache):
    """Reads what is there, and has nothing computed."""

    def get(self, jobs: Sequence[Job]) -> list[Arrays]:
        if self.lacking(jobs):
            raise UsageError(
                where=str(self.root), what="not everything is in the cache", next="run it again with --compute"
            )
        return super().get(jobs)


@dataclass(frozen=True)
class CaseAgain:
    """A case of an earlier run, with all that is needed to look at it once more.

    Attributes:
        engine: Of the session, or one that computes nothing.
    """

    case: Case
    session: GateSession
    engine: Engine

    @classmethod
    def find(cls, result: CaseResult, run: RunRecord, given: Mapping[str, Any], *, compute: bool) -> CaseAgain:
        """Open the run's models, data and bounds once more.

        Args:
            result: The case as it was judged.
            run: Where it was judged.
            given: Settings that differ from the run's, or that its record does not hold, such
                as where data lie.
            compute: Whether models may be run.

        Raises:
            ReliabilityError: They cannot be opened, or no bound is about such a case any more.
        """
        session = GateSession.open(Options.of(Path.cwd(), _recorded(result, run) | dict(given)))
        cases = {case.name: case for case in session.plan.cases(result.bound.claim)}
        if result.case not in cases:
            raise UsageError(
                where=session.thresholds.path, what="no bound is about this case any more", got=result.case,
                next="name the threshold file, models and data of that run: --thresholds, --reference, --data",
            )  # fmt: skip
        engine = session.engine
        if not compute:
            engine = Engine(_OnlyKept(session.options.cache_folder), session.data, engine.device, engine.threads)
        return cls(replace(cases[result.case], bound=result.bound), session, engine)

    def take_apart(self, method: str) -> Again:
        """Everything that can be had.

        Args:
            method: How limits came about, which says what a candidate on kernels was held against.
        """
        return Again(_attempt(lambda: self._breakdown(method)), _attempt(self._layers), _attempt(self._proof))

    def search(self) -> Iterator[Attempt]:
        """Judge nearby recipes on this case, the smallest change first, until one holds.

        Raises:
            UsageError: The candidate is no recipe of the grammar.
        """
        recipe = self.case.recipe
        found = list(neighbours(recipe)) if isinstance(recipe, Recipe) else []
        if not found:
            raise UsageError(
                where=self.case.name, what="there are no recipes near this candidate", got=recipe.name,
                next="search from a recipe of the grammar, in simulation: reliability list recipes",
            )  # fmt: skip
        for near in found:
            attempt = self._judged(near)
            yield attempt
            if attempt.verdict:
                return

    def _judged(self, recipe: Recipe) -> Attempt:
        case = self.case
        bound = self._bound_on(recipe)
        try:
            if isinstance(case.task, TaskGroup):
                comparison = self.engine.group_pair(case.model, recipe, case.task).harm(bound.metric, level=bound.level)
            else:
                pair = self.engine.pair(case.model, recipe, case.task, fit=needs_fit(self.case))
                comparison = pair.harm(bound.metric, bound.score, level=bound.level)
            return Attempt(recipe.name, judge(bound, comparison))
        except ReliabilityError as error:
            return Attempt(recipe.name, None, error.what)

    def _bound_on(self, recipe: Recipe) -> Bound:
        """What the threshold file asks of another recipe in this case's place; else what it asks of this one."""
        case, thresholds = self.case, self.session.thresholds
        find = thresholds.group_bounds_for if isinstance(case.task, TaskGroup) else thresholds.bounds_for
        asked = find(case.claim, case.model.name, recipe.name, case.task.name)
        same = (one for one in asked if (one.metric, one.score) == (case.bound.metric, case.bound.score))
        return replace(next(same, case.bound), level=case.bound.level)

    def _breakdown(self, method: str) -> Breakdown:
        case = self.case
        if isinstance(case.task, TaskGroup):
            raise UsageError(
                where=case.name, what="a group of tasks is taken apart by task above", next="explain one of its tasks"
            )
        backend = isinstance(case.recipe, Recipe) and case.recipe.backend and ", against " in method
        against = {"against": case.recipe.simulated} if backend and isinstance(case.recipe, Recipe) else {}
        return break_down(self._pair(**against), case.bound.score)

    def _pair(self, **against: Recipe) -> Pair:
        case = self.case
        assert not isinstance(case.task, TaskGroup)
        return self.engine.pair(case.model, case.recipe, case.task, fit=needs_fit(self.case), **against)

    def _layers(self) -> Sequence[LayerError]:
        recipe = self._quantized()
        # Prepared, or the whole candidate would be made anew for an explanation.
        self.engine.prepared(self.case.model, recipe.simulated)
        from reliability.evaluate.layer_errors import layer_errors

        return layer_errors(self.session.engine, self.case.model, recipe)

    def _proof(self) -> Proof:
        return self.engine.proof(self.case.model, self._quantized())

    def _quantized(self) -> Recipe:
        recipe = self.case.recipe
        if not isinstance(recipe, Recipe) or recipe.is_float:
            raise UsageError(
                where=self.case.name, what="layers of this candidate cannot be seen", got=recipe.name,
                next="explain a case of a recipe",
            )  # fmt: skip
        return recipe


def _recorded(result: CaseResult, run: RunRecord) -> dict[str, Any]:
    """Settings of the run as its record holds them; what it does not hold is left out."""
    described = run.run
    found: dict[str, Any] = {
        "data": described.get("data"),
        "limit": described.get("limit"),
        "torch-device": described.get("device"),
        "torch-threads": described.get("torch_threads"),
        "thresholds": _path(described.get("thresholds")),
        "reference": _reference(described.get("references"), result.model),
        "recipes": result.recipe if recipe_named(result.recipe) else None,
    }
    return {name: value for name, value in found.items() if value}


def _path(thresholds: object) -> Path | None:
    return Path(str(thresholds["file"])) if isinstance(thresholds, Mapping) and "file" in thresholds else None


def _reference(references: object, name: str) -> tuple[str, ...]:
    """As ``--reference`` takes it, for the kinds whose name says all."""
    identity = references.get(name) if isinstance(references, Mapping) else None
    if not isinstance(identity, Mapping) or "architecture" not in identity or "weights" in identity:
        return ()
    tag = f"/{identity['tag']}" if identity.get("tag") else ""
    return (f"{identity['kind']}:{identity['architecture']}{tag}",)


def _attempt(make: Callable[[], _Found]) -> _Found | Missing:
    try:
        return make()
    except ReliabilityError as error:
        return Missing(f"{error.what} ({error.got}); {error.next}" if error.got else f"{error.what}; {error.next}")
