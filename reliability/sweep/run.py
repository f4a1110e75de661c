"""Carry out a sweep in its folder, going on from what is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Protocol

from reliability.errors import UsageError
from reliability.evaluate.code_version import code_version
from reliability.sweep.grid import Grid, Unit
from reliability.sweep.plan import SweepPlan
from reliability.sweep.rows import FOLDER, chunk_name, require_pyarrow
from reliability.sweep.work import Chunk, Place
from reliability.versions import installed

ROWS_A_CHUNK = 2000
"""A kill loses at most this many rows a worker, some seconds of work."""
_MANIFEST = "sweep.json"
_VERSIONS = ("torch", "numpy", "scipy", "open_clip_torch")

Runner = Callable[[Place, Sequence[Chunk]], Iterator[tuple[Chunk, int]]]
"""Carries out chunks and yields each with the number of its rows as it is finished."""


class Bar(Protocol):
    """What is told how far a sweep is."""

    def update(self, n: int) -> object:
        """So many more runs are done."""
        ...

    def close(self) -> None:
        """The sweep is over, whether it was finished or not."""
        ...


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
    runner: Runner,
    progress: Callable[[int, int], Bar],
    rows_a_chunk: int = ROWS_A_CHUNK,
) -> int:
    """Measure what the sweep's folder does not hold yet; returns the number of rows it then holds.

    Args:
        plan, grid: As read and expanded.
        place: Where to work.
        runner: Local processes, or a cluster.
        progress: Given how many runs the plan asks for and how many an earlier start had
            measured, what to tell of the others.
        rows_a_chunk: About so many rows become a file; the same for every start of a sweep.

    Raises:
        UsageError: The folder belongs to another plan, or its rows were measured by other code.
        MissingExtraError: pyarrow is not installed.
        ReliabilityError: What a worker raised.
    """
    require_pyarrow()
    _claim(place.out, plan)
    rows = place.out / FOLDER
    left = [chunk for chunk in chunks_of(grid, rows_a_chunk) if not (rows / chunk.name).is_file()]
    found = grid.runs - sum(chunk.runs for chunk in left)
    with closing(progress(grid.runs, found)) as bar:
        for _, count in runner(place, left):
            bar.update(count)
            found += count
    return found


def _claim(out: Path, plan: SweepPlan) -> None:
    """Make the folder this plan's, or see that it is.

    Raises:
        UsageError: It is another plan's, or rows of another code lie there, which must not be mixed with new ones.
    """
    mine = {"plan": plan.digest, "code": _code(), "versions": {name: installed(name) for name in _VERSIONS}}
    file = out / _MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(mine | {"path": plan.path}, indent=2) + "\n")
        os.replace(partial, file)
        return
    theirs = json.loads(file.read_text())
    differ = [key for key in mine if theirs.get(key) != mine[key]]
    if differ:
        raise UsageError(
            where=str(file), what="the folder holds rows of another sweep, which are not mixed with new ones",
            got=f"another {' and '.join(differ)}", next="name an empty folder with --out",
        )  # fmt: skip


def _code() -> str:
    return code_version("types.py", "data", "models", "quant", "metrics", "stats", "evaluate", "sweep")
