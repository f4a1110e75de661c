"""Fill the cache with what comparisons will read, each entry a task of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from reliability.data.registry import DataSet, open_data
from reliability.errors import ReliabilityError
from reliability.evaluate.engine import Engine
from reliability.evaluate.filling.workers.workers import Workers
from reliability.evaluate.own_tasks import with_own_tasks
from reliability.evaluate.running.need import Need
from reliability.evaluate.running.remembered import remembered
from reliability.evaluate.storage.cache import Cache
from reliability.evaluate.storage.store import Location
from reliability.models.record import BOTH, Tower
from reliability.quant.recipe import Recipe


@dataclass(frozen=True)
class Site:
    """Where and on which data a process works; sent to each.

    Attributes:
        cache: Where embeddings are kept, the same place for all.
        data, data_root, limit, prompts, skip_unreadable: As ``open_data`` takes them.
        tasks: File with tasks of the user's own, if there is one.
        device: A torch device.
        threads: Torch threads of each process.
        folder: Where relative paths start, on machines that have it.
    """

    cache: Location
    data: str
    data_root: Path | None = None
    limit: int | None = None
    prompts: Path | None = None
    skip_unreadable: int = 0
    tasks: Path | None = None
    device: str = "cpu"
    threads: int = 1
    folder: Path = Path()

    def open(self) -> DataSet:
        """The data, with the user's own tasks."""
        data = open_data(self.data, self.data_root, self.limit, self.prompts, self.skip_unreadable)
        return with_own_tasks(data, self.tasks, self.data_root, self.limit) if self.tasks else data


# Models and opened data outlive a task: the next one mostly needs the same.
@lru_cache(maxsize=4)
def engine_at(site: Site) -> Engine:
    """The engine of this process for a site."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(site.threads)
    with suppress(FileNotFoundError):
        os.chdir(site.folder)
    return Engine(Cache(site.cache), remembered(site.open()), site.device, site.threads)


def outstanding(site: Site, needs: Iterable[Need]) -> list[list[Need]]:
    """What the cache lacks, in waves: candidates are prepared before anything is embedded with them.

    So each is prepared once, even where the cache has no locks.

    Args:
        site: Where the cache is.
        needs: May name the same entry several times.
    """
    engine = engine_at(site)
    last = _lacking(engine, needs)
    candidates = dict.fromkeys(Need("prepared", need.model, need.candidate) for need in last if _runs(need))
    kernels = [need for need in candidates if _recipe(need).backend]
    simulated = [replace(need, candidate=_recipe(need).simulated) for need in candidates]
    waves = [_lacking(engine, simulated), _lacking(engine, kernels), last]
    return [sorted(wave, key=lambda need: (need.model.name, need.candidate.name)) for wave in waves if wave]


def meet(
    site: Site, waves: Sequence[Sequence[Need]], workers: Workers
) -> Iterator[tuple[Need, ReliabilityError | None]]:
    """Have everything in the cache; each need, as it is done with, and why it cannot be met, if so.

    Conventions:
        A need that cannot be met is no reason to leave the others, apart from those of
        a candidate that could not be prepared: they meet its fault.
    """
    unprepared: dict[object, ReliabilityError] = {}
    for wave in waves:
        hopeless = {need: unprepared[_made_of(need)] for need in wave if _made_of(need) in unprepared}
        yield from hopeless.items()
        for need, fault in workers.each(fetch, site, [n for n in wave if n not in hopeless], on_device=True):
            if fault is not None and need.kind == "prepared":
                unprepared[_made_of(need)] = fault
            yield need, fault


def fetch(site: Site, need: Need) -> ReliabilityError | None:
    """Have one entry in the cache; returns why that is not possible, if so."""
    engine = engine_at(site)
    try:
        engine.cache.get([engine.job(need)])
    except ReliabilityError as error:
        return error
    return None


def _lacking(engine: Engine, needs: Iterable[Need]) -> list[Need]:
    """The needs that have no entry, each entry once."""
    jobs = {need: engine.job(need) for need in dict.fromkeys(needs)}
    absent = engine.cache.lacking(jobs.values())
    return list({job.key: need for need, job in jobs.items() if job.key in absent}.values())


def _runs(need: Need) -> bool:
    """Whether a recipe has to be applied to a model for it."""
    if not isinstance(need.candidate, Recipe) or need.candidate.is_float:
        return False
    towers: dict[str, tuple[Tower, ...]] = {"image": ("vision",), "text": ("text",)}
    return any(need.candidate.changes(tower) for tower in towers.get(need.kind, BOTH))


def _made_of(need: Need) -> object:
    """What must have been prepared for it; None where nothing must."""
    return (need.model, _recipe(need).simulated) if _runs(need) else None


def _recipe(need: Need) -> Recipe:
    assert isinstance(need.candidate, Recipe)
    return need.candidate
