"""Killed at any moment, a run loses nothing: the next one gives the same figures."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRIALS = Path(__file__).with_name("kill_trials.py")


def test_processes_that_fill_a_cache_are_killed_and_nothing_is_lost(
    tmp_path: Path, trials: Callable[[int, int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = trials(12, 201)
    command = [sys.executable, str(TRIALS), str(tmp_path), str(wanted), "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20 + 2 * wanted, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == wanted
    assert {trial["target"] for trial in found} == {"worker", "controller", "everything"}
    lost = [t for t in found if t["status"] or t["digest"] != found[0]["digest"] or t["entries"] != 10 or t["partial"]]
    assert not lost
    # Otherwise the moments were none in which anything is going on.
    assert any(0 < trial["half_done"] < 10 for trial in found)
    with capsys.disabled():
        print(f"\n{wanted} killed while filling a cache, {len(lost)} lost")


def _workers(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _disturb(child: subprocess.Popen[str], target: str) -> None:
    if target == "everything":
        os.killpg(child.pid, signal.SIGKILL)
        return
    for victim in _workers(child.pid)[:1] if target == "worker" else [child.pid]:
        os.kill(victim, getattr(signal, target, signal.SIGKILL))


@pytest.mark.parametrize("target", ["worker", "controller", "everything", "SIGINT", "SIGTERM"])
def test_a_gate_that_is_stopped_anywhere_gives_the_same_figures_when_it_is_run_again(
    gate: Any, target: str, trials: Callable[[int, int], int], same_figures: Callable[[Any], str], undisturbed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rng, count = random.Random(target), trials(1, 8)
    for _ in range(count):
        child = gate.start("-n2")
        time.sleep(rng.uniform(1.0, 4.0))
        if child.poll() is None:
            _disturb(child, target)
        child.communicate(timeout=60)
        again = gate.run()
        assert again["complete"]
        assert same_figures(again) == undisturbed
        assert not gate.left_over()
    with capsys.disabled():
        print(f"\n{count} gates stopped by {target}, 0 lost")


def test_an_interrupted_run_says_so_and_is_not_complete(gate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (gate.folder / "slow_cases.py").write_text("import time\ndef pytest_runtest_teardown(item):\n    time.sleep(5)\n")
    monkeypatch.setenv("PYTHONPATH", str(gate.folder))
    child = gate.start("-p", "slow_cases")
    log = gate.folder / "report" / "cases.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (log.exists() and log.read_text()):
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 2, output
    report = gate.report()
    assert not report["complete"]
    assert "the run was interrupted" in report["problems"]
    assert "cases were not judged" in " ".join(report["problems"])
