"""Comparisons that the study's claims are made of, each measured once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from reliability.errors import ModelError, QuantizationError, ReliabilityError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.comparison.limits import REPLICATES
from reliability.evaluate.engine import Engine
from reliability.evaluate.running.need import Need
from reliability.evaluate.storage.cache import Arrays
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, parse_recipe
from reliability.stats.evidence import NormalEvidence
from reliability.stats.multiplicity import holm
from reliability.stats.noninferiority import relation_outcome, relation_p_value
from reliability.study.finding import NotApplicableError
from reliability.study.names import CORRUPTIONS, NOISE, SEVERITIES
from reliability.types import Comparison, Outcome, Relation, TaskGroup

# A resample of a matrix costs a decomposition, so spectra have fewer; their limits are no closer calls than others.
_SPECTRAL, _FEWER = frozenset({"effective_rank", "effective_rank_centred"}), 200


@dataclass
class StudyBench:
    """One model and its candidates on one data set.

    Attributes:
        engine: Embeddings, mostly from the cache.
        model: The zoo's, or another.
        planned: Recipes that may be asked for; None where any may.
        refused: Why the model does not take a recipe, as far as that is known.
        level: Of each one-sided limit.
    """

    engine: Engine
    model: ModelSpec
    planned: Collection[str] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    level: float = 0.95
    _known: dict[tuple[str, ...], Comparison] = field(default_factory=dict, repr=False)
    _taken: set[str] = field(default_factory=lambda: {FP32.name}, repr=False)

    @property
    def rate(self) -> float:
        """Error rate of what is searched."""
        return 1.0 - self.level

    def usable(self, recipes: Sequence[str]) -> tuple[str, ...]:
        """Those that the model takes.

        Raises:
            NotApplicableError: It takes none.
        """
        found = tuple(recipe for recipe in recipes if self._takes(recipe))
        if not found:
            self.require(recipes[0])
        return found

    def _takes(self, recipe: str) -> bool:
        try:
            self.require(recipe)
        except NotApplicableError:
            return False
        return True

    def require(self, recipe: str) -> None:
        """See that the model takes a recipe.

        Raises:
            NotApplicableError: Its architecture refuses it, or the plan does not hold it.
        """
        if recipe in self._taken:
            return
        if self.planned is not None and recipe not in self.planned:
            raise self._not_applicable(recipe, "the plan holds no such candidate of this model")
        if recipe not in self.refused:
            # What fits is cached by now, so that this reads a file; a tower's refusal comes before any training.
            try:
                self.engine.prepared(self.model, parse_recipe(recipe))
                self._taken.add(recipe)
                return
            except QuantizationError as error:
                self.refused[recipe] = reason(error)
        raise self._not_applicable(recipe, self.refused[recipe])

    def harm(self, recipe: str, task: str, metric: str, score: str = "", against: str = FP32.name) -> Comparison:
        """A candidate held against FP32, or on a single task against another candidate.

        Raises:
            UsageError: Pictures under noise, against something other than FP32.
            NotApplicableError: There is no such candidate or task.
        """
        if task == NOISE and against != FP32.name:
            raise UsageError(
                where=f"{self.model.name}, {recipe}", what="under noise a candidate is held against FP32 alone",
                got=against, next="name one corruption's task",
            )  # fmt: skip
        key = (recipe, task, metric, score, against)
        if key not in self._known:
            compared = self.noise(recipe) if task == NOISE else self.pair(recipe, task, against)
            replicates = _FEWER if metric in _SPECTRAL else REPLICATES
            self._known[key] = compared.harm(metric, score, level=self.level, replicates=replicates)
        return self._known[key]

    def pair(self, recipe: str, task: str, against: str = FP32.name) -> Pair:
        """Embeddings of a candidate and of what it is held against.

        Raises:
            NotApplicableError: There is no such candidate or task.
        """
        for name in (recipe, against):
            self.require(name)
        if task not in self.engine.data.tasks:
            raise self._not_applicable(recipe, f"the data have no task {task}")
        where = self.engine.data.task(task)
        return self.engine.pair(self.model, parse_recipe(recipe), where, against=parse_recipe(against))

    def noise(self, recipe: str) -> GroupPair:
        """Both models' answers under every corruption and severity."""
        self.require(recipe)
        names = [f"noise/{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES]
        if any(name not in self.engine.data.tasks for name in names):
            raise self._not_applicable(recipe, "the data have no corruptions of these kinds")
        tasks = tuple(self.engine.data.task(name) for name in names)
        group = TaskGroup(NOISE, tasks, self.engine.data.task("id"))
        return self.engine.group_pair(self.model, parse_recipe(recipe), group)

    def layers(self, recipe: str) -> Arrays:
        """Features and frequencies of the vision tower's layers on familiar pictures."""
        return self._about("layers", recipe, self.engine.data.task("id").part.source)

    def weights(self, recipe: str) -> Arrays:
        """Spectra of the vision tower's weights."""
        return self._about("weights", recipe)

    def _about(self, kind: str, recipe: str, source: str = "") -> Arrays:
        self.require(recipe)
        need = Need(kind, self.model, parse_recipe(recipe), source)  # type: ignore[arg-type]
        try:
            return self.engine.cache.get([self.engine.job(need)])[0]
        except (ModelError, QuantizationError) as error:
            raise self._not_applicable(recipe, reason(error)) from error

    def _not_applicable(self, recipe: str, why: str) -> NotApplicableError:
        return NotApplicableError(
            where=f"{self.model.name}, {recipe}", what=why, next="read the claim on a model that has it"
        )


def reason(error: ReliabilityError) -> str:
    """Why something cannot be had, in one line."""
    return error.what if error.got is None else f"{error.what}, got: {error.got}"


def outcome(found: Comparison, relation: Relation, margin: float = 0.0) -> Outcome:
    """What a relation makes of a comparison's harm."""
    return relation_outcome(relation, found.harm, margin)


def p_value(found: Comparison, relation: Relation, margin: float = 0.0) -> float:
    """P-value of the hypothesis that a relation of the harm does not hold, from its standard error."""
    return relation_p_value(relation, NormalEvidence(found.harm.estimate, found.harm.standard_error), margin)


def beats(found: Comparison, margin: float) -> float:
    """P-value of the hypothesis that a candidate is not better by more than a margin."""
    return NormalEvidence(found.harm.estimate, found.harm.standard_error).p_below(-margin)


def corrected(p_values: Mapping[str, float], rate: float) -> tuple[str, float]:
    """The most convincing of several searched hypotheses, and its p-value with Holm's correction."""
    adjusted = dict(zip(p_values, holm(list(p_values.values()), rate).adjusted.tolist(), strict=True))
    best = min(p_values, key=p_values.__getitem__)
    return best, adjusted[best]


def all_of(outcomes: Collection[Outcome]) -> Outcome:
    """Several demands at once: broken by any, and held by nothing less than all."""
    return "broken" if "broken" in outcomes else "inconclusive" if "inconclusive" in outcomes else "holds"
