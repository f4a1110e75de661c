"""What one process of a run works with: plan, data, engine."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from threadpoolctl import threadpool_limits

from reliability.claims.bounds import ThresholdFile
from reliability.claims.cases import Case, Plan
from reliability.claims.judge import check_floor
from reliability.data.registry import DataSet
from reliability.errors import ThresholdError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.comparison.limits import REPLICATES
from reliability.evaluate.engine import Engine
from reliability.evaluate.running.candidate import Candidate
from reliability.evaluate.running.progress import SILENT, Progress
from reliability.evaluate.storage.cache import Cache
from reliability.evaluate.storage.code_version import code_version
from reliability.metrics.scores import get_score
from reliability.models.spec import ModelSpec, OwnCandidate, parse_model
from reliability.quant.recipe import FP32
from reliability.session.opening import (
    check_distinct,
    device_of,
    open_run_data,
    own_candidates,
    read_recipes,
    read_thresholds,
)
from reliability.session.options import DEFAULT_REFERENCE, Options
from reliability.types import TaskGroup
from reliability.versions import installed

_RECORDED_VERSIONS = ("quant-reliability", "torch", "open_clip_torch", "numpy", "scipy", "pytest")
_LENIENT = "inconclusive gates are reported and do not fail the run (--inconclusive=report)"


@dataclass
class GateSession:
    """What one process of a run works with.

    Attributes:
        device: Where this process computes.
        claims: Names of the claims that were collected.
        default_run: Whether recipes and data are those the threshold file is for,
            so that a bound which meets nothing is a mistake.
        progress: Shows that something takes time.
    """

    options: Options
    thresholds: ThresholdFile
    plan: Plan
    data: DataSet
    device: str
    default_run: bool
    progress: Progress = SILENT
    claims: set[str] = field(default_factory=set)
    _floors_checked: set[str] = field(default_factory=set)
    _last: tuple[tuple[ModelSpec, Candidate, str, bool, bool], Pair | GroupPair] | None = None

    @classmethod
    def open(cls, options: Options) -> GateSession:
        """Read everything a run is made of; no picture is decoded and no model loaded.

        Raises:
            ReliabilityError: An option, the threshold file or the data is at fault.
        """
        thresholds, data = read_thresholds(options), open_run_data(options)
        models = tuple(
            parse_model(text, options.checkpoint, untrusted=options.untrusted)
            for text in options.references or (DEFAULT_REFERENCE,)
        )
        brought = own_candidates(options)
        recipes = read_recipes(options, thresholds, () if brought else thresholds.recipes)
        if not recipes and not brought:
            raise UsageError(
                where=thresholds.path, what="the run has no recipe", got=repr(options.recipes),
                next="list recipes under [run] in the threshold file, or name them with --recipes",
            )  # fmt: skip
        check_distinct("--reference", models)
        check_distinct("--candidate", (*recipes, *brought))
        plan = Plan(thresholds, models, (*recipes, *brought), data.tasks)
        return cls(options, thresholds, plan, data, device_of(options), _is_default(options, data))

    @cached_property
    def engine(self) -> Engine:
        """Made on first use: collecting cases touches no cache.

        NumPy's matrix products get as many threads as torch, since their number can
        move a last bit, and must not follow from ``-n`` or from the machine.
        """
        threadpool_limits(self.options.threads)
        cache = Cache(self.options.cache_folder)
        return Engine(cache, self.data, self.device, self.options.threads, self.progress)

    def pair(self, case: Case, *, against_simulation: bool = False) -> Pair | GroupPair:
        """Both models on a case's task or group of tasks, once the reference is known to be worth comparing with.

        Args:
            against_simulation: Whether a candidate on kernels is held against the same recipe
                in simulation, and not against the FP32 model.

        Raises:
            UsageError: There is no such simulation, or the case is about a group of tasks.
        """
        self._check_floors(case.model)
        fit = needs_fit(case)
        asked = (case.model, case.recipe, case.task.name, fit, against_simulation)
        # Cases are ordered so that those of one task follow one another.
        if self._last is None or self._last[0] != asked:
            self._last = (asked, self._simulated(case) if against_simulation else self._compared(case, fit))
        return self._last[1]

    def _simulated(self, case: Case) -> Pair:
        recipe, task = case.recipe, case.task
        if isinstance(recipe, OwnCandidate) or not recipe.backend or isinstance(task, TaskGroup):
            raise UsageError(
                where=case.name, what="only recipes on kernels are held against their simulation, one task at a time",
                got=f"recipe {recipe.name}, task {task.name}", next='apply the bound to recipes "*@*" and plain tasks',
            )  # fmt: skip
        return self.engine.pair(case.model, recipe, task, against=recipe.simulated)

    def _compared(self, case: Case, fit: bool) -> Pair | GroupPair:
        if isinstance(case.task, TaskGroup):
            return self.engine.group_pair(case.model, case.recipe, case.task)
        return self.engine.pair(case.model, case.recipe, case.task, fit=fit)

    def check_complete(self) -> None:
        """Every recipe is judged by something; on a default run every bound meets a case.

        Raises:
            UsageError, ThresholdError: Something would go unjudged.
        """
        self.plan.check_recipes_matched(self.claims)
        idle = self.thresholds.unmatched(self.plan.used)
        if self.default_run and idle:
            listed = "; ".join(f"bound {bound.index} ({bound.claim})" for bound in idle)
            raise ThresholdError(
                where=self.thresholds.path, what="a bound matches no case of the full run", got=listed,
                next="correct its claim or patterns, or remove it; a bound that judges nothing protects nothing",
            )  # fmt: skip

    def _check_floors(self, model: ModelSpec) -> None:
        """The baseline is gated too."""
        if model.name in self._floors_checked:
            return
        for floor in self.thresholds.floors_for(model.name):
            pair = self.engine.pair(model, FP32, self.data.task(floor.task))
            comparison = pair.harm(floor.metric, floor.score)
            check_floor(floor, comparison.reference.estimate, comparison.n)
        self._floors_checked.add(model.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say about bounds and data, and about where the features of own candidates come from."""
        own = [candidate for candidate in self.plan.recipes if isinstance(candidate, OwnCandidate)]
        lenient = [_LENIENT] if self.options.inconclusive == "report" else []
        about = (*lenient, *self.thresholds.notes_on(self.data.name), *self.data.notes)
        return (*about, *(one.note(model.text) for one in own for model in self.plan.models))

    def describe(self) -> dict[str, Any]:
        """Settings of the run, for its record."""
        return {
            "references": {model.name: dict(model.identity) for model in self.plan.models},
            "recipes": {recipe.name: dict(recipe.identity) for recipe in self.plan.recipes},
            "data": self.data.name,
            "tasks": {name: task.card for name, task in self.data.tasks.items()},
            "thresholds": {"file": self.thresholds.path, "sha256": self.thresholds.digest},
            "limit": self.options.limit,
            "inconclusive": self.options.inconclusive,
            "device": self.options.device,
            "torch_threads": self.options.threads,
            "bootstrap": {"replicates": REPLICATES, "seed": 0},
            "versions": {name: installed(name) for name in _RECORDED_VERSIONS},
            "code": code_version(""),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        }


def needs_fit(case: Case) -> bool:
    """Whether the case's score is fitted on pictures that no task evaluates."""
    return bool(case.bound.score) and "training" in get_score(case.bound.score).needs


def _is_default(options: Options, data: DataSet) -> bool:
    """Whether every bound should meet something: nothing was chosen by hand, and no set is missing."""
    chosen = options.recipes is not None or options.candidates or options.embeddings
    return not chosen and not data.missing
