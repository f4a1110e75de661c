"""An engine of made-up embeddings: what a candidate does to them is planted, so the verdict is known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reliability.errors import QuantizationError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.comparison.inputs import Side
from reliability.models.spec import ModelSpec
from reliability.study.bench import StudyBench
from reliability.study.limits import SHIFTS
from reliability.study.names import CORRUPTIONS, SEVERITIES
from reliability.types import Embeddings, Part, PromptSet, Task, TaskGroup

CLASSES, WIDTH, COUNT = 10, 96, 1500
Change = Callable[[str, Embeddings], Embeddings]
Inside = Callable[[str, str], dict[str, Any]]


def _task(name: str) -> Task:
    familiar = Part("id") if name.startswith("ood/") else None
    groups = ("common", "counter") if name.startswith("spurious/") else ()
    return Task(name, Part(name), PromptSet(tuple("abcdefghij"), ("{c}",)), familiar=familiar, group_names=groups)


NAMES = (
    "id", "ood/near", *SHIFTS, "spurious/background",
    *(f"noise/{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES),
)  # fmt: skip


def _embeddings(count: int, seed: int, spread: float, scale: float, unfamiliar: bool = False) -> Embeddings:
    rng = np.random.default_rng(seed)
    text = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, CLASSES)))[0].T
    labels = rng.integers(0, CLASSES, count)
    image = (
        text[labels] * (0.2 if unfamiliar else 1.0) + spread * rng.normal(size=(count, WIDTH)) / np.sqrt(WIDTH) + 0.02
    )
    groups = rng.integers(0, 2, count)
    ids = np.array([str(i) for i in range(count)])
    known = np.full(count, -1) if unfamiliar else labels
    return Embeddings(image.astype(np.float32), text.astype(np.float32), scale, known, groups, ids)


def no_insides(kind: str, _recipe: str) -> dict[str, Any]:
    """Layers and weights that no recipe changes."""
    rng = np.random.default_rng(0)
    if kind == "weights":
        signal = np.linspace(9.0, 1.0, 24)
        return {"conv/signal": signal, "conv/noise": np.zeros(24), "conv/values": signal}
    return {"stage.0/pooled": rng.normal(size=(200, 12)), "stage.0/energy": rng.uniform(1.0, 2.0, size=(200, 5))}


class PlantedEngine:
    """Pairs whose candidate is the reference after ``change(recipe, embeddings)``.

    Args:
        inside: Kind and recipe to what is to be had inside the model.
        refuses: Recipes that the model does not take.
        count: Pictures of each task.
    """

    def __init__(
        self,
        change: Change,
        scale: float = 12.0,
        inside: Inside = no_insides,
        refuses: tuple[str, ...] = (),
        count: int = COUNT,
    ) -> None:
        self.data = SimpleNamespace(tasks={n: _task(n) for n in NAMES}, task=lambda n: self.data.tasks[n])
        self.cache = SimpleNamespace(get=lambda needs: [inside(need.kind, need.candidate.name) for need in needs])
        self.asked: set[tuple[str, str]] = set()
        self._change, self._scale, self._refuses, self._count = change, scale, refuses, count

    def _side(self, recipe: str, task: Task) -> Side:
        self.asked.add((recipe, task.name))
        hard = 4.0 if task.name != "id" else 3.6
        seed = 5 if task.role == "noise" else NAMES.index(task.name)
        part = _embeddings(self._count, seed, hard, self._scale, task.role == "ood")
        familiar = _embeddings(self._count, 0, 3.6, self._scale) if task.familiar else None
        made = [self._change(recipe, e) if e is not None else None for e in (part, familiar)]
        return Side(*made)

    def job(self, need: Any) -> Any:
        return need

    def prepared(self, model, recipe) -> None:  # noqa: ARG002 - the engine's signature
        if recipe.name in self._refuses:
            raise QuantizationError(where=recipe.name, what="the tower has no blocks", got="none", next="another one")

    def pair(self, model, recipe, task, *, fit=False, against) -> Pair:  # noqa: ARG002 - the engine's signature
        return Pair(task, self._side(against.name, task), self._side(recipe.name, task))

    def group_pair(self, model, recipe, group: TaskGroup) -> GroupPair:
        fp32 = SimpleNamespace(name="fp32")
        pairs = (self.pair(model, recipe, task, against=fp32) for task in group.tasks)
        clean = TaskGroup(group.name, group.tasks)
        return GroupPair.of(clean, pairs)


@pytest.fixture(scope="session")
def planted() -> Callable[..., StudyBench]:
    """A bench of one model, whose candidates are changed as planted."""
    model = ModelSpec("zoo", "planted", "planted")

    def bench(change: Change, scale: float = 12.0, planned: tuple[str, ...] | None = None, **engine: Any) -> StudyBench:
        return StudyBench(PlantedEngine(change, scale, **engine), model, planned)

    return bench
