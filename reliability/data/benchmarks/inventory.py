"""What lies below a data root, and what is missing and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reliability.data.benchmarks.registry import BENCHMARKS
from reliability.data.torchvision_sets import PUBLISHED, Published
from reliability.errors import ReliabilityError


@dataclass(frozen=True)
class Entry:
    """One set that could lie there.

    Attributes:
        spec: As in ``--data``.
        state: ``found``, ``missing``, or ``unusable`` where it is not as published.
        tasks, holds, size, licence: As of the set.
        where: Where it lies or goes.
        next: How to get it where it is missing; what is wrong where it is unusable.
    """

    spec: str
    state: str
    tasks: str
    holds: str
    size: str
    licence: str
    where: Path
    next: str = ""


def inventory(root: Path) -> list[Entry]:
    """Every benchmark, and every set of torchvision's; names of folders and small tables are read."""
    return [*_benchmarks(root), *(_torchvision(published, root) for published in PUBLISHED.values())]


def _benchmarks(root: Path) -> Iterator[Entry]:
    for b in BENCHMARKS.values():
        place = b.find(root)
        state, step = ("missing", b.get) if place is None else ("found", "")
        try:
            if place is not None:
                b.evaluated(place)
        except ReliabilityError as error:
            state, step = "unusable", f"{error.what} ({error.where})"
        yield Entry(b.name, state, b.tasks, b.holds, b.size, b.licence, place or root / b.places[0], step)


def _torchvision(published: Published, root: Path) -> Entry:
    spec = f"torchvision:{published.name}"
    places = [root / part for part in published.content]
    state, step = ("found", "") if all(place.exists() for place in places) else ("missing", f"reliability fetch {spec}")
    holds, _, size = published.size.rpartition(", ")
    return Entry(spec, state, "id, ood/near, noise/*", holds, size, published.licence, places[0], step)
