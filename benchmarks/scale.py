"""Time and memory of the large sweep: ``python -m benchmarks.scale``. Filling the cache is measured apart."""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from tabulate import tabulate

from reliability.evaluate.filling.workers.local import LocalWorkers
from reliability.sweep.grid import expand
from reliability.sweep.plan import load_plan
from reliability.sweep.run import chunks_of, embed
from reliability.sweep.work import Chunk, Place, work

PLAN = Path(__file__).parents[1] / "plans" / "scale-700k.toml"
PART = 100_000
CACHE = Path(platformdirs.user_cache_dir("quant-reliability"))
_EVERY_S = 0.5


class PeakMemory:
    """The most memory that this process and its children held at one time, shared pages counted once."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.mib = max(self.mib, sum(_held_mib(process) for process in _family()))


def _family() -> list[str]:
    """Ids of this process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[stat.parent.name] = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # It ended meanwhile.
    found = [str(Path("/proc/self").resolve().name)]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def _held_mib(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


class Entries:
    """Counts what had to be embedded."""

    def __init__(self) -> None:
        self.made = 0

    def update(self, n: int) -> None:
        self.made += n

    def close(self) -> None:
        """Nothing to tidy up."""


def _embedded(place: Place, chunks: Sequence[Chunk], workers: int) -> tuple[int, float]:
    """Entries that were not cached, and seconds until all were."""
    entries, started = Entries(), time.perf_counter()
    refused = embed(place, chunks, LocalWorkers(workers), lambda *_: entries)
    assert not refused, "every candidate of the plan can be had"
    return entries.made, time.perf_counter() - started


def _seconds(place: Place, chunks: Sequence[Chunk], workers: int) -> tuple[int, float]:
    """Runs and seconds of some chunks."""
    started = time.perf_counter()
    runs = sum(rows for _, rows in LocalWorkers(workers).each(work, place, chunks))
    return runs, time.perf_counter() - started


def _part(chunks: Sequence[Chunk], runs: int) -> list[Chunk]:
    """Some chunks of all kinds with so many runs."""
    shuffled = random.Random(0).sample(chunks, len(chunks))
    chosen: list[Chunk] = []
    while shuffled and sum(chunk.runs for chunk in chosen) < runs:
        chosen.append(shuffled.pop())
    return chosen


def scale_rows(cache: Path = CACHE, workers: int = 2, plan: Path = PLAN) -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target."""
    read = load_plan(plan)
    chunks = chunks_of(expand(read))
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        places = [Place(folder / name, cache, None, read.limit, read.level) for name in ("part", "whole")]
        with PeakMemory() as embedding:
            entries, cold = _embedded(places[0], chunks, workers)
        few, first = _seconds(places[0], _part(chunks, PART), workers)
        with PeakMemory() as memory:
            runs, whole = _seconds(places[1], chunks, workers)
        size = sum(file.stat().st_size for file in folder.glob("whole/rows/*/*.parquet"))
    finally:
        shutil.rmtree(folder)
    slope = (whole - first) / (runs - few)
    return [
        ("runs", f"{runs:,}", "at least 700,000"),
        (f"embedding what was not cached: {entries:,} entries, {workers} workers", f"{cold / 60:.1f} min", ""),
        ("peak memory of all processes meanwhile", f"{embedding.mib:.0f} MiB", "at most 4096 MiB"),
        ("the sweep from cached embeddings", f"{whole / 60:.1f} min, {runs / whole:.0f} runs/s", "at most 15 min"),
        (f"the same for {few:,} of the runs", f"{first / 60:.1f} min, {few / first:.0f} runs/s", ""),
        (
            "time of each run: slope between the two over the smaller one's",
            f"{slope / (first / few):.2f}",
            "0.9 to 1.1",
        ),
        ("peak memory of all processes", f"{memory.mib:.0f} MiB", "at most 4096 MiB"),
        ("rows on disk", f"{size / 2**20:.0f} MiB, {size / runs:.1f} bytes each", ""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--cache-dir", type=Path, default=CACHE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plan", type=Path, default=PLAN)
    options = parser.parse_args()
    rows = scale_rows(options.cache_dir, options.workers, options.plan)
    print(tabulate(rows, headers=["what", "measured", "target"], tablefmt="github"))


if __name__ == "__main__":
    main()
