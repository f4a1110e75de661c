"""How long the tests of this folder go on, and a small gate to be disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LONG = bool(os.environ.get("RELIABILITY_LONG"))
ROOT = Path(__file__).resolve().parents[2]
PICTURES = 50

BOUNDS = """
schema = 1
[defaults]
level = 0.95
min_images = 20
[run]
recipes = ["fp32"]
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.10
gate = true
reason = "for tests"
[[bound]]
claim = "agreement"
applies = { task = ["id", "noise/gaussian_noise/1"] }
metric = "flip_rate"
relation = "at_most"
margin = 0.25
gate = true
reason = "for tests"
"""


@pytest.fixture(scope="session")
def trials() -> Callable[[int, int], int]:
    """``trials(short, long)``: how often to try, as the run was asked for."""
    return lambda short, long: long if LONG else short


def _hears_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and hands that on to its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Gate:
    """A gate of a few cases on a cache of its own, run in another process.

    Attributes:
        folder: Of this test.
    """

    folder: Path

    @property
    def cache(self) -> Path:
        """Where its embeddings lie."""
        return self.folder / "cache"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a run, in a process group of its own."""
        options = ["--thresholds", "bounds.toml", "--report-dir", "report", "--cache-dir", str(self.cache)]
        settings = ["--import-mode=importlib", "-p", "no:cacheprovider", "-q", "--limit", str(PICTURES)]
        command = [sys.executable, "-m", "pytest", str(ROOT / "suites"), *settings, *options, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            start_new_session=True,
            preexec_fn=_hears_interrupts,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str) -> dict[str, Any]:
        """A whole run's report."""
        child = self.start(*arguments)
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, output
        return self.report()

    def report(self, folder: str = "report") -> dict[str, Any]:
        """What the last run left behind."""
        return json.loads((self.folder / folder / "report.json").read_text())

    def left_over(self) -> list[Path]:
        """Half-written files."""
        return [path for path in self.folder.rglob("*") if ".partial" in path.name or path.name.endswith(".tmp")]


def figures(report: dict[str, Any]) -> str:
    """Everything in a report that must not depend on how the run went, as text."""
    cases = [{key: value for key, value in case.items() if key != "seconds"} for case in report["cases"]]
    return json.dumps(cases, sort_keys=True)


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All embeddings of the gate."""
    from reliability.data.registry import open_data
    from reliability.evaluate.engine import Engine
    from reliability.evaluate.storage.cache import Cache
    from reliability.models.spec import parse_model
    from reliability.quant.recipe import FP32

    root = tmp_path_factory.mktemp("warm")
    engine = Engine(Cache(root), open_data("scenes", limit=PICTURES))
    for task in ("id", "noise/gaussian_noise/1"):
        engine.pair(parse_model("zoo:scenes-clean"), FP32, engine.data.task(task))
    return root


def _gate(folder: Path, cache: Path) -> Gate:
    shutil.copytree(cache, folder / "cache")
    (folder / "bounds.toml").write_text(BOUNDS)
    return Gate(folder)


@pytest.fixture
def gate(tmp_path: Path, warm_cache: Path) -> Gate:
    """A gate whose embeddings are all there."""
    return _gate(tmp_path, warm_cache)


@pytest.fixture
def same_figures() -> Callable[[dict[str, Any]], str]:
    """Figures of a report as text, to be compared byte by byte."""
    return figures


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, warm_cache: Path) -> str:
    """Figures of a run that nothing happened to."""
    return figures(_gate(tmp_path_factory.mktemp("undisturbed"), warm_cache).run())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here; the same is tried with a limit on file sizes")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
