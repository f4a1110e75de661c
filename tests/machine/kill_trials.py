"""Kill processes that fill one cache at random moments, and see whether anything is lost.

``python kill_trials.py FOLDER TRIALS SEED`` prints one JSON line per trial. Processes are forked from one
that has imported everything and no torch, so that a trial takes a fraction of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import filelock  # noqa: F401 - imported here, before processes are forked
import numpy as np
import safetensors.numpy  # noqa: F401

from reliability.evaluate.storage.cache import Arrays, Cache, Job

ENTRIES = 10
TARGETS = ("worker", "controller", "everything")
LIMIT_S = 20
LONGEST_S = 0.12
"""An undisturbed filling takes about this long."""


def entry(number: int) -> Job:
    """Some rows, which take a moment to compute and to write."""

    def compute() -> Arrays:
        time.sleep(0.005)
        rng = np.random.default_rng(number)
        return {"image": rng.normal(size=(500, 64)).astype(np.float32), "ids": np.array([f"ü-{i}" for i in range(500)])}

    return Job({"entry": number}, compute)


def fill(root: Path, order: int) -> str:
    """Have every entry, in another order for each process; the digest of them all."""
    jobs = [entry(number) for number in range(ENTRIES)]
    random.Random(order).shuffle(jobs)
    found = dict(zip((job.payload["entry"] for job in jobs), Cache(root).get(jobs), strict=True))
    digest = hashlib.sha256()
    for number in range(ENTRIES):
        digest.update(found[number]["image"].tobytes() + found[number]["ids"].tobytes())
    return digest.hexdigest()


def spawn(work: Callable[[], object]) -> int:
    """A forked process that does the work and ends."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def controller(root: Path) -> None:
    """Two workers, and whoever waits for them."""
    workers = [spawn(lambda seed=seed: fill(root, seed)) for seed in range(2)]
    (root / "workers").write_text(" ".join(map(str, workers)))
    for worker in workers:
        os.waitpid(worker, 0)


def trial(root: Path, target: str, moment: float) -> dict[str, object]:
    """Kill, run again, look."""
    root.mkdir()
    head = spawn(lambda: controller(root))
    while not (root / "workers").exists() or not (text := (root / "workers").read_text()):
        time.sleep(0.001)
    workers = [int(pid) for pid in text.split()]
    time.sleep(moment)
    for pid in {"worker": workers[:1], "controller": [head], "everything": [*workers, head]}[target]:
        _kill(pid)
    os.waitpid(head, 0)
    half_done = len(list(root.rglob("*.bin")))
    (answer, into) = os.pipe()
    again = spawn(lambda: (signal.alarm(LIMIT_S), os.write(into, fill(root, 7).encode())))
    _, status = os.waitpid(again, 0)
    digest = os.read(answer, 64).decode() if status == 0 else ""
    os.close(answer)
    os.close(into)
    _await(workers)
    return {
        "target": target, "status": status, "digest": digest, "half_done": half_done,
        "entries": len(list(root.rglob("*.bin"))), "partial": len(list(root.rglob(".partial-*"))),
    }  # fmt: skip


def _await(pids: list[int]) -> None:
    """Orphans of a killed controller go on; wait until they are gone."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in pids):
        time.sleep(0.005)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> None:
    """Run the trials."""
    folder, trials, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    for number in range(trials):
        root = folder / str(number)
        print(json.dumps(trial(root, TARGETS[number % 3], rng.uniform(0, LONGEST_S))), flush=True)
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
