"""The starter suite: written once, complete, and judged as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reliability.claims.reader import load_thresholds
from reliability.cli import main
from reliability.cli.init import STARTER


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    result = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert result.exit_code == 0, result.output
    return tmp_path


def suite(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "tests/reliability", "--thresholds", "tests/reliability/thresholds.toml"]
    return subprocess.run([*command, *arguments], cwd=repository, capture_output=True, text=True, env=dict(os.environ))


def test_every_file_of_the_starter_is_written(repository: Path) -> None:
    assert {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()} == set(
        STARTER.values()
    )
    assert load_thresholds(repository / STARTER["thresholds.toml.txt"]).bounds


def test_nothing_is_written_over(repository: Path) -> None:
    (repository / "tests" / "reliability" / "conftest.py").unlink()
    before = (repository / "tests" / "reliability" / "thresholds.toml").read_text()
    result = CliRunner().invoke(main, ["init", str(repository)])
    assert result.exit_code == 1
    assert "already here" in result.output
    assert not (repository / "tests" / "reliability" / "conftest.py").exists()
    assert (repository / "tests" / "reliability" / "thresholds.toml").read_text() == before


def test_every_bound_of_the_starter_has_its_case(repository: Path) -> None:
    done = suite(repository, "--collect-only", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 tests collected" in done.stdout


def test_the_starter_judges_the_embedded_model(repository: Path, tmp_path: Path) -> None:
    where = ("--cache-dir", str(tmp_path / "cache"), "--report-dir", str(tmp_path / "report"))
    done = suite(repository, "-q", "--limit", "1000", "-k", "accuracy", *where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "report" / "report.md").is_file()
