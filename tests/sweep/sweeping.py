"""A small sweep in this process or in others, as these tests carry it out."""

from __future__ import annotations

from pathlib import Path

from reliability.evaluate.filling.workers.local import LocalWorkers
from reliability.evaluate.filling.workers.workers import Workers
from reliability.evaluate.storage.store import Location
from reliability.sweep.grid import expand
from reliability.sweep.plan import load_plan
from reliability.sweep.run import run_sweep
from reliability.sweep.work import Place

ALL = "SELECT * FROM runs ORDER BY ALL"
HERE = LocalWorkers(0)


class Bar:
    """Counts what it is told."""

    def __init__(self, counted: str, total: int, found: int) -> None:
        self.counted, self.total, self.found, self.done = counted, total, found, 0

    def update(self, n: int) -> None:
        """So many more."""
        self.done += n

    def close(self) -> None:
        """Nothing to tidy up."""


def sweep(plan_file: Path, out: Location, cache: Location, workers: Workers = HERE, rows: int = 4) -> Bar:
    """Carry out a plan and return the bar of its runs."""
    plan, bars = load_plan(plan_file), []
    grid = expand(plan)

    def begin(counted: str, total: int, found: int) -> Bar:
        bars.append(Bar(counted, total, found))
        return bars[-1]

    place = Place(out, cache, None, plan.limit, plan.level)
    assert run_sweep(plan, grid, place, workers, begin, rows) == grid.runs
    assert [bar.counted for bar in bars] in (["run"], ["embedding", "run"])
    assert all(bar.found + bar.done == bar.total for bar in bars)
    return bars[-1]
