"""Carry out a sweep at its place, going on from what is there: first all embeddings, then the arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from reliability.errors import QuantizationError, ReliabilityError, UsageError
from reliability.evaluate.filling.fill import engine_at, meet, outstanding
from reliability.evaluate.filling.workers.workers import Workers
from reliability.evaluate.running.need import Need
from reliability.evaluate.storage.code_version import code_version
from reliability.evaluate.storage.store import Location, Store, below, open_store
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe
from reliability.sweep.grid import Grid, Unit
from reliability.sweep.plan import SweepPlan
from reliability.sweep.rows import FOLDER, chunk_name, require_pyarrow
from reliability.sweep.work import Chunk, Place, work
from reliability.versions import installed

ROWS_A_CHUNK = 2000
"""A kill loses at most this many rows a worker, some seconds of work."""
_MANIFEST = "sweep.json"
_VERSIONS = ("torch", "numpy", "scipy", "open_clip_torch")


class Bar(Protocol):
    """What is told how far a sweep is."""

    def update(self, n: int) -> object:
        """So many more are done."""
        ...

    def close(self) -> None:
        """It is over, whether it was finished or not."""
        ...


Progress = Callable[[str, int, int], Bar]
"""Given what is counted, how many there are and how many were there, what to tell of the others."""


def chunks_of(grid: Grid, rows: int = ROWS_A_CHUNK) -> list[Chunk]:
    """Units in files of about so many rows; the same grid always gives the same files."""
    return [
        Chunk(chunk_name(units), tuple(units))
        for _, group in groupby(grid.units, key=lambda unit: (unit.data, unit.model))
        for units in _cut(group, rows)
    ]


def _cut(units: Iterable[Unit], rows: int) -> Iterator[list[Unit]]:
    kept: list[Unit] = []
    for unit in units:
        kept.append(unit)
        if sum(len(u.questions) for u in kept) >= rows:
            yield kept
            kept = []
    if kept:
        yield kept


def run_sweep(
    plan: SweepPlan,
    grid: Grid,
    place: Place,
    workers: Workers,
    progress: Progress,
    rows_a_chunk: int = ROWS_A_CHUNK,
) -> int:
    """Measure what the sweep's place does not hold yet; returns the number of rows it then holds.

    Args:
        plan, grid: As read and expanded.
        place: Where to work.
        workers: Local processes, or a cluster.
        progress: Told of embeddings, where any are lacking, and of runs.
        rows_a_chunk: About so many rows become a file; the same for every start of a sweep.

    Raises:
        UsageError: The place holds another plan's rows, or such that were measured by other code.
        MissingExtraError: pyarrow is not installed.
        ReliabilityError: What a worker raised.
    """
    require_pyarrow()
    store = open_store(place.out, "--out")
    _claim(store, place.out, plan)
    there = store.names(FOLDER)
    left = [chunk for chunk in chunks_of(grid, rows_a_chunk) if chunk.name not in there]
    place = replace(place, refused=embed(place, left, workers, progress))
    found = grid.runs - sum(chunk.runs for chunk in left)
    with closing(progress("run", grid.runs, found)) as bar:
        for _, count in workers.each(work, place, left):
            bar.update(count)
            found += count
    return found


def embed(
    place: Place, chunks: Sequence[Chunk], workers: Workers, progress: Progress
) -> dict[tuple[ModelSpec, Recipe], str]:
    """Have in the cache whatever the chunks will read.

    Returns:
        Why candidates cannot be had: a model without the structure that a recipe rewrites
        is no fault of the sweep.

    Raises:
        ReliabilityError: Why something else cannot be had; the rest is there then.
    """
    refused: dict[tuple[ModelSpec, Recipe], str] = {}
    faults: list[ReliabilityError] = []
    for data in dict.fromkeys(unit.data for chunk in chunks for unit in chunk.units):
        site = place.site(data)
        waves = outstanding(site, _needs(place, data, chunks))
        if not waves:
            continue
        with closing(progress("embedding", sum(map(len, waves)), 0)) as bar:
            for need, fault in meet(site, waves, workers):
                bar.update(1)
                if isinstance(fault, QuantizationError) and isinstance(need.candidate, Recipe):
                    refused[need.model, need.candidate] = f"{fault.where}: {fault.what}"
                elif fault is not None:
                    faults.append(fault)
    if faults:
        raise faults[0]
    return refused


def _needs(place: Place, data: str, chunks: Iterable[Chunk]) -> Iterator[Need]:
    engine = engine_at(place.site(data))
    for unit in (unit for chunk in chunks for unit in chunk.units if unit.data == data):
        yield from engine.needs(unit.model, unit.recipe, engine.data.task(unit.task), fit=unit.fits)


def _claim(store: Store, where: Location, plan: SweepPlan) -> None:
    """Make the place this plan's, or see that it is.

    Raises:
        UsageError: It is another plan's, or rows of another code lie there, which must not be mixed with new ones.
    """
    mine = {"plan": plan.digest, "code": _code(), "versions": {name: installed(name) for name in _VERSIONS}}
    written = store.read(_MANIFEST)
    if written is None:
        store.publish(_MANIFEST, (json.dumps(mine | {"path": plan.path}, indent=2) + "\n").encode())
        return
    theirs = json.loads(written)
    differ = [key for key in mine if theirs.get(key) != mine[key]]
    if differ:
        raise UsageError(
            where=str(below(where, _MANIFEST)),
            what="the place holds rows of another sweep, which are not mixed with new ones",
            got=f"another {' and '.join(differ)}", next="name an empty one with --out",
        )  # fmt: skip


def _code() -> str:
    return code_version("types.py", "data", "models", "quant", "metrics", "stats", "evaluate", "sweep")
