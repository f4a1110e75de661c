"""Comparisons that the study's claims are made of, each measured once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reliability.errors import UsageError
from reliability.evaluate.compare import Pair
from reliability.evaluate.engine import Engine
from reliability.evaluate.group import GroupPair
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, parse_recipe
from reliability.stats.evidence import NormalEvidence
from reliability.stats.multiplicity import holm
from reliability.stats.noninferiority import relation_outcome, relation_p_value
from reliability.types import Comparison, Outcome, Relation, TaskGroup

BITS = ("w8a8", "w4a8")
PTQ, ROTATED, QAT, NOISE_ARM = "minmax", "hadamard", "lsq", "noise"
"""Round to nearest; the same after a rotation; training with learned steps; training with noise and no grid."""
ROTATED_QAT = f"{ROTATED}+{QAT}"
SHIPPED = tuple(f"{bits}-{method}" for bits in BITS for method in (PTQ, ROTATED, QAT, ROTATED_QAT))
"""Candidates that someone could ship, the vision tower alone quantized."""
CORRUPTIONS = ("gaussian_noise", "defocus_blur", "frost", "jpeg_compression")
"""One of each family of the benchmark."""
SEVERITIES = (1, 3, 5)
NOISE = "noise"
"""In place of a task: all pictures under these corruptions at these severities."""


@dataclass
class StudyBench:
    """Models and candidates on one data set.

    Attributes:
        engine: Embeddings, mostly from the cache.
        models: The zoo's, or others.
        level: Of each one-sided limit.
    """

    engine: Engine
    models: tuple[ModelSpec, ...]
    level: float = 0.95
    _known: dict[tuple[str, ...], Comparison] = field(default_factory=dict, repr=False)

    def harm(
        self, model: ModelSpec, recipe: str, task: str, metric: str, score: str = "", against: str = FP32.name
    ) -> Comparison:
        """A candidate held against FP32, or on a single task against another candidate.

        Raises:
            UsageError: Pictures under noise, against something other than FP32.
        """
        if task == NOISE and against != FP32.name:
            raise UsageError(
                where=f"{model.name}, {recipe}", what="under noise a candidate is held against FP32 alone", got=against,
                next="name one corruption's task",
            )  # fmt: skip
        key = (model.name, recipe, task, metric, score, against)
        if key not in self._known:
            compared = self._noise(model, recipe) if task == NOISE else self.pair(model, recipe, task, against)
            self._known[key] = compared.harm(metric, score, level=self.level)
        return self._known[key]

    def pair(self, model: ModelSpec, recipe: str, task: str, against: str = FP32.name) -> Pair:
        """Embeddings of a candidate and of what it is held against."""
        where = self.engine.data.task(task)
        return self.engine.pair(model, parse_recipe(recipe), where, against=parse_recipe(against))

    def _noise(self, model: ModelSpec, recipe: str) -> GroupPair:
        names = [f"noise/{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES]
        tasks = tuple(self.engine.data.task(name) for name in names)
        group = TaskGroup(NOISE, tasks, self.engine.data.task("id"))
        return self.engine.group_pair(model, parse_recipe(recipe), group)


def outcome(found: Comparison, relation: Relation, margin: float = 0.0) -> Outcome:
    """What a relation makes of a comparison's harm."""
    return relation_outcome(relation, found.harm, margin)


def p_value(found: Comparison, relation: Relation, margin: float = 0.0) -> float:
    """P-value of the hypothesis that a relation of the harm does not hold, from its standard error."""
    return relation_p_value(relation, NormalEvidence(found.harm.estimate, found.harm.standard_error), margin)


def some_hold(p_values: Sequence[float], rate: float) -> bool:
    """Whether any of several searched hypotheses is rejected with Holm's correction."""
    return bool(holm(p_values, rate).rejected.any())
