"""Sweeps whose process is killed for good, at the worst moments and at others."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from os import kill, killpg
from pathlib import Path

import pytest
from sweeping import ALL, sweep

from reliability.sweep.query import query

# Dies by a signal that no process can catch, when the n-th file of a kind is about to appear, or has just appeared.
CHILD = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import sweeping as t

plan, out, cache = map(Path, sys.argv[2:5])
moment, suffix, left = sys.argv[5], sys.argv[6], int(sys.argv[7])
replace = os.replace

def dies(source, target):
    global left
    left -= str(target).endswith(suffix)
    if left == 0 and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if left == 0 and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = dies
if moment == "held":
    t.Bar.update = lambda *_: time.sleep(600)
t.sweep(plan, out, cache, t.LocalWorkers(int(moment in ("workers", "held"))))
"""


def finished(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Every whole file, and what tells it from one that was made again."""
    files = [file for folder in folders for suffix in ("bin", "parquet") for file in folder.rglob(f"*.{suffix}")]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def start(plan_file: Path, out: Path, cache: Path, *moment: object) -> subprocess.Popen[bytes]:
    paths = (Path(__file__).parent, plan_file, out, cache)
    return subprocess.Popen([sys.executable, "-c", CHILD, *map(str, (*paths, *moment))], start_new_session=True)


@pytest.mark.parametrize(
    "moments",
    [
        [("before", ".bin", 2), ("after", ".bin", 9)],
        [("before", ".parquet", 1), ("after", ".parquet", 1), ("before", ".parquet", 3), ("after", ".parquet", 2)],
    ],
    ids=["cold", "half-way"],
)
def test_a_sweep_killed_while_a_file_appears_makes_nothing_again_and_loses_or_doubles_no_row(
    plan_file: Path, tmp_path: Path, embeddings: Path, moments: list[tuple[str, str, int]], request
) -> None:
    out, cache = tmp_path / "out", embeddings
    if "cold" in request.node.name:
        plan_file.write_text(plan_file.read_text().replace("limit = 24", "limit = 6").replace('"w4a16-minmax"', ""))
        cache = tmp_path / "cache"
    sweep(plan_file, tmp_path / "whole", embeddings)
    kept: dict[Path, tuple[int, int]] = {}
    for moment in moments:
        child = start(plan_file, out, cache, *moment)
        assert child.wait(120) == -signal.SIGKILL
        now = finished(out, cache)
        assert kept.items() <= now.items()
        assert len(now) - len(kept) >= (moment[0] == "after")
        kept = now
    bar = sweep(plan_file, out, cache)
    assert bar.found == 4 * len([file for file in kept if file.suffix == ".parquet"])
    assert kept.items() <= finished(out, cache).items()
    assert query(out, ALL) == query(tmp_path / "whole", ALL)
    assert {file.name for file in finished(cache)} <= {file.name for file in finished(embeddings)}


def test_a_sweep_killed_at_any_moment_with_its_workers_goes_on(
    plan_file: Path, tmp_path: Path, embeddings: Path
) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)
    out, chance = tmp_path / "out", random.Random(0)
    kept: dict[Path, tuple[int, int]] = {}
    for wanted in (1, 4):
        child = start(plan_file, out, embeddings, "workers", "", 0)
        while child.poll() is None and len(list(out.rglob("*.parquet"))) < wanted:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.05))
        killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert kept.items() <= finished(out).items()
        kept = finished(out)
    sweep(plan_file, out, embeddings)
    assert kept.items() <= finished(out).items()
    assert query(out, ALL) == query(tmp_path / "whole", ALL)


def _still_there(group: int) -> list[str]:
    """Command lines of a process group's members, less those that have ended and wait to be asked."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                members.append(stat.with_name("cmdline").read_text())
        except OSError:
            continue  # It ended meanwhile.
    return members


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_sweep_that_started_them(
    plan_file: Path, tmp_path: Path, embeddings: Path, stop: signal.Signals
) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)
    out = tmp_path / "out"
    # Held once the first rows are told, so that its worker waits for more to do.
    child = start(plan_file, out, embeddings, "held", "", 0)
    while child.poll() is None and not list(out.rglob("*.parquet")):
        time.sleep(0.02)
    assert len(_still_there(child.pid)) > 1
    kill(child.pid, stop)
    child.wait()
    end = time.monotonic() + 30
    while (left := _still_there(child.pid)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left
