"""The embedded gate as a user runs it: cold, warm, collection only, and what a warm run imports."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WORKERS = 2
_AS_A_USER = ("-p", "no:hypothesispytest")
"""The plugin of Hypothesis, which the test extra brings, takes a second of each process."""


def _pytest(*arguments: str) -> tuple[float, int]:
    """Wall-clock seconds and exit status of one pytest run."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "suites", "-q", *_AS_A_USER, *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, done.returncode


def _peak_mib() -> float:
    """Largest resident set of any finished descendant process, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _warm_imports(cache: str, report: str) -> str:
    """Which of the heavy packages one warm process ends up with."""
    code = (
        "import pytest, sys; "
        f"pytest.main(['suites', '-q', '-n', '0', '--cache-dir', {cache!r}, '--report-dir', {report!r}]); "
        "print('imported:', sorted({'torch', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[-1].removeprefix("imported: ")


def gate_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target."""
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "cache")
        where = ("--cache-dir", cache, "--report-dir", str(Path(folder) / "report"))
        cold_s, cold_status = _pytest("-n", str(_WORKERS), *where)
        warm_s, warm_status = _pytest("-n", str(_WORKERS), *where)
        collect_s, _ = _pytest("--collect-only", "-n", "0", *where)
        peak = _peak_mib()
        imports = _warm_imports(cache, str(Path(folder) / "report"))
    return [
        (f"embedded gate, cold, -n {_WORKERS} (exit status {cold_status})", f"{cold_s:.1f} s", "180 s"),
        (f"embedded gate, warm, -n {_WORKERS} (exit status {warm_status})", f"{warm_s:.1f} s", "10 s"),
        ("collection of the embedded suite", f"{collect_s:.1f} s", "2 s"),
        ("peak memory of the largest process", f"{peak:.0f} MiB", "3072 MiB"),
        ("heavy packages imported by a warm run", imports, "[]"),
    ]
