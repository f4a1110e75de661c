"""Whatever happens to a run, nobody finds a verdict in its folder that is not its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SLOW = """
import time
def pytest_runtest_teardown(item):
    time.sleep(60)
"""
LITTLE_MEMORY = """
import os, resource
from pathlib import Path
from reliability.torchvision_shim import ensure_torchvision_imports
ensure_torchvision_imports()
import open_clip
def pytest_collection_finish(session):
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + int(os.environ["SPARE_MIB"]) * 2**20, -1))
"""


@pytest.fixture
def addition(gate: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """Options that load a plugin of this text."""

    def write(text: str) -> tuple[str, str]:
        (gate.folder / "addition.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(gate.folder))
        return "-p", "addition"

    return write


@pytest.fixture
def earlier_report(gate: Any) -> Path:
    """One of three files that stand where this run's will."""
    folder = gate.folder / "report"
    folder.mkdir()
    for suffix in ("json", "html", "md"):
        (folder / f"report.{suffix}").write_text("All gates hold.")
    return folder / "report.md"


def _fill_up(disk: Path) -> None:
    file = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):  # No space left.
        while True:
            os.write(file, bytes(4096))
    os.close(file)


def _await(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what() and time.monotonic() < end:
        time.sleep(0.02)


def test_a_killed_run_leaves_its_cases_and_no_verdict_of_an_earlier_run(
    gate: Any, addition: Callable[[str], tuple[str, str]], earlier_report: Path
) -> None:
    folder = earlier_report.parent
    log = folder / "cases.jsonl"
    child = gate.start(*addition(SLOW))
    _await(lambda: log.exists() and bool(log.read_text()))
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert log.read_text().count("\n") == 1
    assert not list(folder.glob("report.*"))


def test_listing_cases_leaves_an_earlier_report_alone(gate: Any, earlier_report: Path) -> None:
    child = gate.start("--collect-only")
    child.communicate(timeout=60)
    assert child.returncode == pytest.ExitCode.OK
    assert earlier_report.read_text() == "All gates hold."


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_report_folder_that_cannot_be_written_is_refused_before_anything_is_judged(gate: Any, workers: str) -> None:
    (gate.folder / "taken").write_text("a file of somebody's")
    child = gate.start("--report-dir", "taken", workers)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the report cannot be written" in output
    assert "where: --report-dir, taken" in output
    assert "INTERNALERROR" not in output
    assert "no tests ran" in output
    assert (gate.folder / "taken").read_text() == "a file of somebody's"


def test_a_disk_that_fills_up_under_a_report_fails_the_run_and_is_named(gate: Any, small_disk: Path) -> None:
    _fill_up(small_disk)
    child = gate.start("--report-dir", str(small_disk))
    output, _ = child.communicate(timeout=60)
    assert child.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the report cannot be written" in output
    assert "No space left on device" in output
    assert "INTERNALERROR" not in output


def _all_hold(report: Path) -> bool:
    return report.exists() and all(case["outcome"] == "holds" for case in json.loads(report.read_text())["cases"])


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="address space cannot be limited here")
def test_a_run_without_enough_memory_never_passes_and_can_be_repeated(
    gate: Any, addition: Callable[[str], tuple[str, str]], trials: Callable[[int, int], int],
    same_figures: Callable[[Any], str], undisturbed: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    count, died = trials(1, 20), 0
    for trial in range(count):
        # At 60 MiB the embeddings do not fit; the long form goes from nothing to enough.
        monkeypatch.setenv("SPARE_MIB", str(60 if count == 1 else 12 * trial))
        for entry in gate.cache.rglob("*.bin"):
            entry.unlink()
        (gate.folder / "report" / "report.json").unlink(missing_ok=True)
        child = gate.start(*addition(LITTLE_MEMORY))
        child.communicate(timeout=120)
        died += child.returncode != 0
        passed = child.returncode == 0 or _all_hold(gate.folder / "report" / "report.json")
        assert not passed or same_figures(gate.report()) == undisturbed
        again = gate.run()
        assert same_figures(again) == undisturbed
        assert not gate.left_over()
    assert died
    with capsys.disabled():
        print(f"\n{count} gates with too little memory, {died} failed, 0 lost")
