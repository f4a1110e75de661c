"""All benchmarks by name, suites of them, and opening either below a data root.

A new benchmark is a :class:`Benchmark` in its family's file; a new family is one
more tuple here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reliability.data.assemble import Evaluated, Training, assemble
from reliability.data.benchmarks.benchmark import Benchmark, registry
from reliability.data.benchmarks.cifar import CIFAR
from reliability.data.benchmarks.groups import GROUPS
from reliability.data.benchmarks.imagenet import IMAGENET
from reliability.data.benchmarks.objectnet import OBJECTNET
from reliability.data.benchmarks.ood import OOD
from reliability.data.benchmarks.openood import OPENOOD
from reliability.data.benchmarks.tinyimagenet import TINY_IMAGENET
from reliability.data.dataset import DataSet, Request, unknown
from reliability.data.torchvision_loading import default_root
from reliability.errors import DataError, UsageError

BENCHMARKS = registry(IMAGENET, OBJECTNET, CIFAR, TINY_IMAGENET, GROUPS, OOD, OPENOOD)
"""Name to benchmark."""

SUITES: dict[str, tuple[str, ...]] = {
    "imagenet": (
        "imagenet", "imagenet-v2", "imagenet-a", "imagenet-r", "imagenet-sketch", "imagenet-c", "objectnet",
        "counteranimal", "waterbirds", "celeba", "inaturalist", "sun", "places", "textures",
    ),
    "cifar10": ("cifar10", "cifar10.1", "cifar10-c"),
}  # fmt: skip
"""Name to the benchmarks that are run together, those that are not there left out."""


def benchmark_root(root: Path | None) -> Path:
    """The data root as an absolute path."""
    return Path(os.path.abspath(root or default_root()))


def open_benchmark(request: Request) -> DataSet:
    """One benchmark by name; nothing is read but names of folders and small tables.

    Raises:
        UsageError: A location after the name.
        DataError: It is not below the data root, or not as published.
    """
    if request.location:
        raise UsageError(
            where=f"--data {request.spec}", what="a benchmark takes no location", got=request.location,
            next="name the folder that holds it with --data-root",
        )  # fmt: skip
    benchmark, root = BENCHMARKS[request.spec.rstrip(":")], benchmark_root(request.root)
    place = benchmark.require(root)
    familiar = _familiar(benchmark, root) if benchmark.needs_base else []
    evaluated = [*familiar, *benchmark.evaluated(place)]
    training = benchmark.training(place) or _base_training(benchmark, root, use_evaluated=not familiar)
    return assemble(request, _twins_of_the_first(evaluated), training)


def _familiar(benchmark: Benchmark, root: Path) -> list[Evaluated]:
    """The base's own clean pictures, under its first task only."""
    base = BENCHMARKS[benchmark.base]
    return [replace(entry, tasks=entry.tasks[:1], noisy=False) for entry in base.evaluated(base.require(root))]


def _base_training(benchmark: Benchmark, root: Path, use_evaluated: bool) -> Training | None:
    """Pictures of the base: its train split, or what it evaluates and this data set does not.

    The base's pictures never set ranges for their own damaged twins.
    """
    base = BENCHMARKS.get(benchmark.base)
    place = base.find(root) if base is not None else None
    if base is None or place is None:
        return None
    found = base.training(place)
    if found is not None or benchmark.twin or not use_evaluated:
        return found
    entry = base.evaluated(place)[0]
    return Training(entry.collection, entry.prompts)


def _twins_of_the_first(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """Noise sets opened alone hold the same pictures: what the first sets aside, all do."""
    first = evaluated[0]
    if not first.twin_of:
        return list(evaluated)
    return [first, *(replace(entry, twin_of=first.source, twin_by="id") for entry in evaluated[1:])]


def open_suite(request: Request) -> DataSet:
    """suite:NAME, the benchmarks of a family that are there; the report names those that are not.

    Raises:
        UsageError: No such suite.
        DataError: None of them is there, or one is not as published.
    """
    if request.location not in SUITES:
        raise unknown("suite", request.location, SUITES, where=f"--data {request.spec}")
    root = benchmark_root(request.root)
    members = [BENCHMARKS[name] for name in SUITES[request.location]]
    there = [member for member in members if member.find(root) is not None]
    usable = [member for member in there if not member.needs_base or BENCHMARKS[member.base] in there]
    missing = [member for member in members if member not in usable]
    if not usable:
        raise DataError(
            where=str(root), what=f"nothing of suite {request.location} is there",
            got="looked for " + ", ".join(member.places[0] for member in members),
            next="put some of them there, or name their folder with --data-root; reliability doctor says how",
        )  # fmt: skip
    data = assemble(request, _together(usable, root), _suite_training(usable, root), [m.missing(root) for m in missing])
    return replace(data, missing=tuple(member.name for member in missing))


def _together(members: Sequence[Benchmark], root: Path) -> list[Evaluated]:
    """All that is evaluated; corruptions as released stand in for computed ones."""
    found = [entry for member in members for entry in member.evaluated(member.require(root))]
    released = any(member.twin for member in members)
    return _twins_of_the_first([replace(entry, noisy=entry.noisy and not released) for entry in found])


def _suite_training(members: Sequence[Benchmark], root: Path) -> Training | None:
    """The train split of the suite's first member that has one of the base's own."""
    base = BENCHMARKS.get(members[0].base, members[0])
    place = base.find(root)
    return base.training(place) if place is not None else None
