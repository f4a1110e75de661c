"""An engine of made-up embeddings: what a candidate does to them is planted, so the verdict is known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from reliability.evaluate.compare import Pair
from reliability.evaluate.group import GroupPair
from reliability.evaluate.inputs import Side
from reliability.models.spec import ModelSpec
from reliability.study.bench import CORRUPTIONS, SEVERITIES, StudyBench
from reliability.types import Embeddings, Part, PromptSet, Task, TaskGroup

CLASSES, WIDTH, COUNT = 10, 96, 1500
Change = Callable[[str, Embeddings], Embeddings]


def _task(name: str) -> Task:
    familiar = Part("id") if name.startswith("ood/") else None
    groups = ("common", "counter") if name.startswith("spurious/") else ()
    return Task(name, Part(name), PromptSet(tuple("abcdefghij"), ("{c}",)), familiar=familiar, group_names=groups)


NAMES = (
    "id", "ood/near", "shift/sketch", "spurious/background",
    *(f"noise/{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES),
)  # fmt: skip


def _embeddings(seed: int, spread: float, scale: float, unfamiliar: bool = False) -> Embeddings:
    rng = np.random.default_rng(seed)
    text = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, CLASSES)))[0].T
    labels = rng.integers(0, CLASSES, COUNT)
    image = (
        text[labels] * (0.2 if unfamiliar else 1.0) + spread * rng.normal(size=(COUNT, WIDTH)) / np.sqrt(WIDTH) + 0.02
    )
    groups = rng.integers(0, 2, COUNT)
    ids = np.array([str(i) for i in range(COUNT)])
    known = np.full(COUNT, -1) if unfamiliar else labels
    return Embeddings(image.astype(np.float32), text.astype(np.float32), scale, known, groups, ids)


class PlantedEngine:
    """Pairs whose candidate is the reference after ``change(recipe, embeddings)``."""

    def __init__(self, change: Change, scale: float = 12.0) -> None:
        self.data = SimpleNamespace(tasks={n: _task(n) for n in NAMES}, task=lambda n: self.data.tasks[n])
        self._change, self._scale = change, scale

    def _side(self, recipe: str, task: Task) -> Side:
        hard = 4.0 if task.name != "id" else 3.6
        seed = 5 if task.role == "noise" else NAMES.index(task.name)
        part = _embeddings(seed, hard, self._scale, task.role == "ood")
        familiar = _embeddings(0, 3.6, self._scale) if task.familiar else None
        made = [self._change(recipe, e) if e is not None else None for e in (part, familiar)]
        return Side(*made)

    def pair(self, model, recipe, task, *, fit=False, against) -> Pair:  # noqa: ARG002 - the engine's signature
        return Pair(task, self._side(against.name, task), self._side(recipe.name, task))

    def group_pair(self, model, recipe, group: TaskGroup) -> GroupPair:
        fp32 = SimpleNamespace(name="fp32")
        pairs = (self.pair(model, recipe, task, against=fp32) for task in group.tasks)
        clean = TaskGroup(group.name, group.tasks)
        return GroupPair.of(clean, pairs)


@pytest.fixture
def planted() -> Callable[..., StudyBench]:
    """A bench of one model, whose candidates are changed as planted."""
    model = ModelSpec("zoo", "planted", "planted")
    return lambda change, scale=12.0: StudyBench(PlantedEngine(change, scale), (model,))
