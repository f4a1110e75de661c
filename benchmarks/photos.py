"""The photographs through every corruption and every score: ``python -m benchmarks.photos``.

CIFAR-10's test split on ``zoo:photos``: all corruptions at all severities (32 px table), label-split near OOD,
Tiny-ImageNet's test split without the concepts it shares with CIFAR-10 and scenes without an object as far OOD, and all
post-hoc scores; those that are fitted are fitted on CIFAR-10's train split, for each model apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import platformdirs
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from reliability.data.dataset import DataSet
from reliability.data.registry import open_data
from reliability.errors import UndefinedMetricError
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.evaluate.group import GroupPair
from reliability.metrics.scores import EMBEDDED, SCORES
from reliability.models.spec import parse_model
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.types import Comparison, Part, Task, TaskGroup

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_MODEL = parse_model("zoo:photos")
_SHARED_CONCEPTS = frozenset(
    (
        "bullfrog", "tailed frog", "goose", "black stork", "king penguin", "albatross", "Chihuahua",
        "Yorkshire terrier",
        "golden retriever", "Labrador retriever", "German shepherd", "standard poodle", "tabby", "Persian cat",
        "Egyptian cat", "cougar", "lion", "gazelle", "beach wagon", "convertible", "go-kart", "gondola", "lifeboat",
        "limousine", "moving van", "police van", "school bus", "sports car", "tractor", "trolleybus",
    )
)  # fmt: skip
"""Tiny-ImageNet's classes that are animals or vehicles of CIFAR-10's ten, or near kin of them."""

_NOISE_METRICS = ("mce_corruption", "relative_mce", "mean_corruption_accuracy")


def far_tasks(data: DataSet, tiny: Path) -> DataSet:
    """The photographs with two far sets beside them, told from all of CIFAR-10's classes."""
    other, scenes = open_data(f"webdataset:{tiny}"), open_data("scenes")
    names = other.task("id").prompts.class_names
    missing = _SHARED_CONCEPTS - set(names)
    if missing:
        raise SystemExit(f"{tiny}: these are not Tiny-ImageNet's classes: no {', '.join(sorted(missing))}")
    kept = tuple(label for label, name in enumerate(names) if name not in _SHARED_CONCEPTS)
    known, fit = data.task("id"), data.task("ood/near").fit
    parts = {"tinyimagenet": Part("tinyimagenet", kept), "scenes": Part("far")}
    tasks = {
        f"ood/far/{name}": Task(
            f"ood/far/{name}", part, known.prompts, familiar=known.part, fit=Part(fit.source) if fit else None
        )
        for name, part in parts.items()
    }
    sources = {**data.sources, "tinyimagenet": other.sources["test"], "far": scenes.sources["far"]}
    return replace(data, tasks={**data.tasks, **tasks}, sources=sources)


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


def _score_rows(engine: Engine, recipes: list[Recipe], task: Task) -> Iterator[list[str]]:
    pairs = [engine.pair(_MODEL, recipe, task, fit=True) for recipe in recipes]
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
    parser.add_argument("--cifar10", type=Path, default=_SHARED / "cifar10", help="shards as of CLIP_benchmark")
    parser.add_argument("--tinyimagenet", type=Path, default=_SHARED / "tinyimagenet")
    parser.add_argument("--recipes", nargs="+", default=["w8a8-minmax", "w4a4-minmax"])
    parser.add_argument("--limit", type=int, help="at most so many pictures of each source")
    parser.add_argument("--cache-dir", type=Path, default=Path(platformdirs.user_cache_dir("quant-reliability")))
    options = parser.parse_args()
    threadpool_limits(1)
    data = far_tasks(open_data(f"webdataset:{options.cifar10}", limit=options.limit), options.tinyimagenet)
    engine, recipes = Engine(Cache(options.cache_dir), data), [parse_recipe(name) for name in options.recipes]

    unfamiliar = [task for task in data.tasks.values() if task.role == "ood"]
    headers = ["task", "score", "AUROC FP32, %", *(f"{r.name}: lower / harm / upper, pp" for r in recipes)]
    _show([row for task in unfamiliar for row in _score_rows(engine, recipes, task)], headers)
    noise = TaskGroup("noise", tuple(task for task in data.tasks.values() if task.role == "noise"), data.task("id"))
    pairs = {recipe.name: engine.group_pair(_MODEL, recipe, noise) for recipe in recipes}
    _show(_noise_rows(pairs), ["corruption", "top-1 FP32, %", *(f"{name}, %" for name in pairs)])
    _show(_group_rows(pairs), ["over all", "recipe", "FP32, %", "candidate, %", "lower / harm / upper, pp"])


def _show(rows: Iterable[list[str]], headers: list[str]) -> None:
    print(tabulate(list(rows), headers, tablefmt="github", disable_numparse=True) + "\n", flush=True)


if __name__ == "__main__":
    main()
