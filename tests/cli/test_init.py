"""The starter suite: written once, complete, and judged as it stands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from reliability.claims.reader import load_thresholds
from reliability.cli import main
from reliability.cli.init import STARTER, WORKFLOWS
from reliability.session.options import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    result = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert result.exit_code == 0, result.output
    return tmp_path


def suite(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "tests/reliability"]
    return subprocess.run([*command, *arguments], cwd=repository, capture_output=True, text=True, env=dict(os.environ))


def test_every_file_of_the_starter_is_written(repository: Path) -> None:
    assert _files(repository) == {*STARTER.values(), *WORKFLOWS["github"].values()}
    assert load_thresholds(repository / STARTER["thresholds.toml.txt"]).bounds


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_repository_on_gitlab_gets_its_workflow(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("stages: [test]\n")
    result = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert _files(tmp_path) == {".gitlab-ci.yml", *STARTER.values(), *WORKFLOWS["gitlab"].values()}
    assert "add to .gitlab-ci.yml:   include: { local: .gitlab/reliability.yml }" in result.output


def test_a_repository_may_do_without_a_workflow(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["init", str(tmp_path), "--ci", "none"]).exit_code == 0
    assert _files(tmp_path) == set(STARTER.values())


def _scripts(ci: str, tmp_path: Path) -> list[str]:
    """What a workflow runs, line by line."""
    assert CliRunner().invoke(main, ["init", str(tmp_path), "--ci", ci]).exit_code == 0
    (target,) = WORKFLOWS[ci].values()
    jobs = yaml.safe_load((tmp_path / target).read_text())
    steps = [step.get("run", "") for step in jobs["jobs"]["gate"]["steps"]] if ci == "github" else []
    return [line for text in steps or jobs["reliability"]["script"] for line in text.splitlines()]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_workflow_runs_what_there_is(ci: str, tmp_path: Path) -> None:
    lines = _scripts(ci, tmp_path)
    gate = shlex.split(next(line for line in lines if line.startswith("pytest")))
    assert gate[1] == "tests/reliability"
    known = {f"--{setting.name}" for setting in SETTINGS} | {"--junitxml"}
    assert {word for word in gate if word.startswith("--")} <= known
    assert ("--github" in gate) is (ci == "github")
    key = next(line for line in lines if "reliability cache-key" in line)
    asked = shlex.split(key[key.index("reliability cache-key") :].partition(")")[0].partition("|")[0])
    assert main.commands["cache-key"].make_context("cache-key", asked[2:]).params["cache_dir"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_documentation_shows_the_workflow_as_it_is_written(ci: str) -> None:
    (name,) = WORKFLOWS[ci]
    template = (files("reliability.starter") / name).read_text()
    assert f"```yaml\n{template}```" in (ROOT / "docs" / "plugin.md").read_text()


def test_the_two_halves_of_the_key_are_told_apart_as_the_workflow_does(tmp_path: Path) -> None:
    lines = _scripts("github", tmp_path)
    start = next(number for number, line in enumerate(lines) if line.startswith("key="))
    script = "\n".join(["reliability() { echo abc-def; }", *lines[start : start + 3]])
    output = tmp_path / "output"
    subprocess.run(["sh", "-c", script], check=True, env={"GITHUB_OUTPUT": str(output), "PATH": os.environ["PATH"]})
    assert output.read_text().splitlines() == ["key=abc-def", "code=abc"]


def test_embeddings_of_another_version_of_the_code_are_cleared_away(tmp_path: Path) -> None:
    lines = _scripts("gitlab", tmp_path)
    start = next(number for number, line in enumerate(lines) if line.startswith("CODE="))
    for code in ("abc", "old"):
        (tmp_path / ".cache" / "reliability" / code).mkdir(parents=True)
    script = "\n".join(["reliability() { echo abc-def; }", *lines[start : start + 2]])
    subprocess.run(["sh", "-e", "-c", script], check=True, cwd=tmp_path)
    assert [path.name for path in (tmp_path / ".cache" / "reliability").iterdir()] == ["abc"]


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
