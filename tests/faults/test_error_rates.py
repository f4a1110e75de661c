"""How often the shipped gates stop a candidate that is as good, and pass one that is twice too bad.

Real features of real pictures, drawn anew for each seed; candidates are made of them by noise, or by
another logit scale, of a strength that is known to do the wanted harm to all of them together.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from reliability.claims.bounds import Bound
from reliability.claims.judge import judge
from reliability.claims.reader import load_thresholds
from reliability.data.registry import open_data
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.counted import COUNTED
from reliability.evaluate.comparison.inputs import Side
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model
from reliability.quant.recipe import FP32
from reliability.types import Embeddings

LONG = bool(os.environ.get("RELIABILITY_LONG"))
SEEDS = 200 if LONG else 10
PICTURES = 1000 if LONG else 500
"""Real ones, from which each seed draws."""
DRAWN = {"id": 4000, "ood/near": 2000}
"""As the gate evaluates."""
THRESHOLDS = load_thresholds(Path(__file__).resolve().parents[2] / "thresholds" / "embedded.toml")
RECIPE = "w8a8-minmax"
SLIGHT = 0.004
"""Noise over the size of features: somewhat less than what eight bits add."""

Change = Callable[[Embeddings, float, int], Embeddings]


def gates(task: str) -> list[Bound]:
    """What ships, for one candidate on one task."""
    bounds = [b for b in THRESHOLDS.bounds if b.gate and b.applies.covers("scenes-clean", RECIPE, task)]
    found = [bound for bound in bounds if bound.metric not in COUNTED]
    # One score of those that share a bound.
    return [bound for bound in found if bound.score in ("", "mcm")]


GATES = [(task, bound) for task in DRAWN for bound in gates(task)]


def noisy(part: Embeddings, strength: float, seed: int) -> Embeddings:
    """Noise on every feature."""
    rng = np.random.default_rng(seed)
    size = strength * float(np.sqrt((part.image.astype(np.float64) ** 2).mean()))
    return replace(part, image=(part.image + size * rng.standard_normal(part.image.shape)).astype(np.float32))


def colder(part: Embeddings, strength: float, seed: int) -> Embeddings:
    """A smaller logit scale: less confident, with the same answers."""
    del seed
    return replace(part, logit_scale=part.logit_scale / (1.0 + strength))


def change_for(bound: Bound) -> Change:
    """What does harm of this kind."""
    return colder if bound.metric in ("ece", "nll") else noisy


@dataclass(frozen=True)
class Population:
    """Both parts of the tasks, under the reference."""

    task: dict[str, object]
    sides: dict[str, Side]

    def pair(self, name: str, change: Change, strength: float, seed: int, *, drawn: bool) -> Pair:
        """Reference and candidate on pictures drawn with a seed, or on all."""
        rng = np.random.default_rng([seed, 1])
        parts = {}
        for field in ("part", "familiar"):
            found = getattr(self.sides[name], field)
            count = DRAWN[name] if field == "part" else DRAWN["id"]
            if found is not None:
                rows = rng.integers(0, len(found.ids), count) if drawn else np.arange(len(found.ids))
                parts[field] = _rows(found, rows)
        changed = {field: change(part, strength, seed + place) for place, (field, part) in enumerate(parts.items())}
        return Pair(self.task[name], Side(**parts), Side(**changed))


def _rows(part: Embeddings, rows: np.ndarray) -> Embeddings:
    names = np.array([str(place) for place in range(len(rows))])
    return replace(part, image=part.image[rows], labels=part.labels[rows], groups=part.groups[rows], ids=names)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    data = open_data("scenes", limit=PICTURES)
    engine = Engine(Cache(tmp_path_factory.mktemp("population")), data)
    model = parse_model("zoo:scenes-clean")
    pairs = {name: engine.pair(model, FP32, data.task(name)) for name in DRAWN}
    return Population({name: data.task(name) for name in DRAWN}, {name: pair.reference for name, pair in pairs.items()})


def outcome(pair: Pair, bound: Bound) -> str:
    return judge(bound, pair.harm(bound.metric, bound.score, level=bound.level)).outcome


def figure(pair: Pair, bound: Bound) -> float:
    """What the bound is about: the harm, or the candidate's own value."""
    found = pair.harm(bound.metric, bound.score, replicates=20)
    return found.candidate.estimate if bound.relation in ("at_least", "at_most") else found.harm.estimate


def strength_for(population: Population, task: str, bound: Bound) -> float:
    """How strong a change must be for twice the margin on all pictures."""
    low, high, change = 0.0, 4.0, change_for(bound)
    for _ in range(12):
        middle = (low + high) / 2
        found = figure(population.pair(task, change, middle, 1, drawn=False), bound)
        low, high = (middle, high) if found < 2 * bound.margin else (low, middle)
    return high


def test_equivalent_candidates_are_seldom_stopped(population: Population, capsys: pytest.CaptureFixture[str]) -> None:
    stopped: list[tuple[int, str]] = []
    for seed in range(SEEDS):
        for task in DRAWN:
            pair = population.pair(task, noisy, SLIGHT, 1000 + 7 * seed, drawn=True)
            stopped += [(seed, b.claim) for b in gates(task) if outcome(pair, b) != "holds"]
    verdicts = SEEDS * len(GATES)
    with capsys.disabled():
        print(f"\nequivalent candidates: {len(stopped)} of {verdicts} verdicts false alarms, {SEEDS} seeds")
    assert len(stopped) <= 0.01 * verdicts, stopped


@pytest.mark.parametrize(
    ("task", "bound"), GATES, ids=[f"{b.claim}-{b.metric}-{b.score}-{task.replace('/', '-')}" for task, b in GATES]
)
def test_candidates_at_twice_the_margin_are_seldom_passed(
    population: Population, task: str, bound: Bound, capsys: pytest.CaptureFixture[str]
) -> None:
    strength = strength_for(population, task, bound)
    missed = [
        seed for seed in range(SEEDS)
        if outcome(population.pair(task, change_for(bound), strength, 5000 + 7 * seed, drawn=True), bound) == "holds"
    ]  # fmt: skip
    with capsys.disabled():
        print(f"\n{bound.claim}, {bound.metric} {bound.score} on {task}: {len(missed)} of {SEEDS} missed")
    assert len(missed) <= 0.05 * SEEDS
