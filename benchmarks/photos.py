"""Photographs through every corruption and every score: ``python -m benchmarks.photos``.

CIFAR-10's test split on ``zoo:photos`` (32 px table) or, with ``--set tinyimagenet``, Tiny-ImageNet's on
``zoo:tiny-clean`` (64 px table): all corruptions at all severities, near and far unfamiliar sets
(``benchmarks.photo_sets``), and all post-hoc scores. Those that are fitted are fitted on the train split, for each
model apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from benchmarks.photo_sets import SETS
from reliability.errors import UndefinedMetricError
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.metrics.scores import EMBEDDED, SCORES
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.types import Comparison, Task, TaskGroup

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_NOISE_METRICS = ("mce_corruption", "relative_mce", "mean_corruption_accuracy")


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _points(found: Comparison) -> str:
    """The harm and its limits, in percentage points."""
    return " / ".join(f"{100 * value:+.2f}" for value in (found.harm.lower, found.harm.estimate, found.harm.upper))


def _noise_rows(pairs: dict[str, GroupPair]) -> Iterator[list[str]]:
    """Top-1 of each corruption over its severities, FP32 and then each candidate."""
    first = next(iter(pairs.values()))
    for index, corruption in enumerate(first.corruptions):
        means = [first.reference, *(pair.candidate for pair in pairs.values())]
        yield [corruption, *(_percent(float(side.correct[:, index].mean())) for side in means)]


def _group_rows(pairs: dict[str, GroupPair]) -> Iterator[list[str]]:
    for metric in _NOISE_METRICS:
        for recipe, pair in pairs.items():
            try:
                found = pair.harm(metric)
            except UndefinedMetricError as error:
                yield [metric, recipe, f"undefined: {error.what}"]
                continue
            values = (_percent(side.estimate) for side in (found.reference, found.candidate))
            yield [metric, recipe, *values, _points(found)]


def _score_rows(engine: Engine, model: ModelSpec, recipes: list[Recipe], task: Task) -> Iterator[list[str]]:
    pairs = [engine.pair(model, recipe, task, fit=True) for recipe in recipes]
    for name, score in sorted(SCORES.items(), key=lambda item: ("training" in item[1].needs, item[0])):
        if not score.needs <= EMBEDDED | {"training"}:
            continue
        try:
            found = [pair.harm("auroc", name) for pair in pairs]
        except UndefinedMetricError as error:
            yield [task.name, name, f"undefined: {error.what}"]
            continue
        yield [task.name, name, _percent(found[0].reference.estimate), *map(_points, found)]


def main() -> None:
    """Print three tables: each corruption, all of them together, each score on each unfamiliar set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description=__doc__)
    parser.add_argument("--set", choices=SETS, default="cifar10")
    parser.add_argument("--data-root", type=Path, default=_SHARED, help="holds cifar10 and tinyimagenet, as shards")
    parser.add_argument("--parts", nargs="+", choices=("scores", "noise"), default=["scores", "noise"])
    parser.add_argument("--recipes", nargs="+", default=["w8a8-minmax", "w4a4-minmax"])
    parser.add_argument("--limit", type=int, help="at most so many pictures of each source")
    parser.add_argument("--cache-dir", type=Path, default=Path(platformdirs.user_cache_dir("quant-reliability")))
    options = parser.parse_args()
    threadpool_limits(1)
    found = SETS[options.set](options.data_root, options.limit)
    model, engine = found.model, Engine(Cache(options.cache_dir), found.data)
    recipes = [parse_recipe(name) for name in options.recipes]
    if "scores" in options.parts:
        unfamiliar = [task for task in found.data.tasks.values() if task.role == "ood"]
        headers = ["task", "score", "AUROC FP32, %", *(f"{r.name}: lower / harm / upper, pp" for r in recipes)]
        _show([row for task in unfamiliar for row in _score_rows(engine, model, recipes, task)], headers)
    if "noise" in options.parts:
        noisy = tuple(task for task in found.data.tasks.values() if task.role == "noise")
        noise = TaskGroup("noise", noisy, found.data.task("id"))
        pairs = {recipe.name: engine.group_pair(model, recipe, noise) for recipe in recipes}
        _show(_noise_rows(pairs), ["corruption", "top-1 FP32, %", *(f"{name}, %" for name in pairs)])
        _show(_group_rows(pairs), ["over all", "recipe", "FP32, %", "candidate, %", "lower / harm / upper, pp"])


def _show(rows: Iterable[list[str]], headers: list[str]) -> None:
    print(tabulate(list(rows), headers, tablefmt="github", disable_numparse=True) + "\n", flush=True)


if __name__ == "__main__":
    main()
