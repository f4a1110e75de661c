"""The built wheel holds the package and nothing else, and is all that somebody's own repository needs.

By default it is installed beside the libraries of this environment. ``make test-wheel`` gives the
interpreter of a fresh environment, into which pip brought the wheel and everything it asks for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = "RELIABILITY_WHEEL_PYTHON"

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the hook that pip calls."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-c", BUILD, str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that imports the package from the installed wheel."""
    if INTERPRETER in os.environ:
        return Path(os.environ[INTERPRETER]).absolute()
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    interpreter = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # Its libraries, but not what .pth files there add, such as this checkout.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return interpreter


def run(python: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A module in that environment, as somebody there would run it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
    line = [str(python), "-m", *command]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, env=environment)


def gate(python: Path, folder: Path, cache: Path, *options: str) -> subprocess.CompletedProcess[str]:
    few = ("-p", "no:randomly", "--limit", "60", "--cache-dir", str(cache), "--report-dir", "report")
    return run(python, folder, "pytest", "tests", *few, *options)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    package = {name for name in names if name.startswith("reliability/")}
    tree = (path for path in (ROOT / "reliability").rglob("*") if path.is_file())
    files = {path.relative_to(ROOT).as_posix() for path in tree if "__pycache__" not in path.parts}
    assert package == files
    assert {Path(name).name for name in set(names) - package} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "LICENSE")
    }


def test_ten_lines_are_a_gate(
    python: Path, tmp_path: Path, shared_cache: Path, bounds: str, documented: list[str]
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_reliability.py").write_text(documented[0])
    assert len(documented[0].splitlines()) == 10
    (tmp_path / "pyproject.toml").write_text('[tool.reliability]\nthresholds = "bounds.toml"\n')
    (tmp_path / "bounds.toml").write_text(bounds[: bounds.index('[[bound]]\nclaim = "agreement"')])
    where = run(python, tmp_path, "inspect", "--details", "reliability.plugin").stdout
    assert "site-packages" in where
    assert str(ROOT / "reliability") not in where
    done = gate(python, tmp_path, shared_cache, "--recipes", "w8a8-minmax,fp32")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "All 2 gates hold." in done.stdout
    assert (tmp_path / "report" / "report.md").is_file()


def test_the_starter_is_written_collected_and_judged(python: Path, tmp_path: Path, shared_cache: Path) -> None:
    tool = python.with_name("reliability")
    wrote = subprocess.run([str(tool), "init"], cwd=tmp_path, capture_output=True, text=True)
    assert wrote.returncode == 0, wrote.stderr
    thresholds = tmp_path / "tests" / "reliability" / "thresholds.toml"
    # Sixty pictures instead of thousands, so wider margins.
    text = (
        thresholds.read_text().replace("min_images = 1000", "min_images = 40").replace("margin = 0.0", "margin = 0.3")
    )
    thresholds.write_text(text)
    done = gate(python, tmp_path, shared_cache)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "4 passed" in done.stdout or "3 passed, 1 xfailed" in done.stdout
