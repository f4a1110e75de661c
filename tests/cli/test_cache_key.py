"""The name that a CI system keeps embeddings under follows from all they depend on, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from reliability.cli import main
from reliability.evaluate import engine

BOUNDS = """
schema = 1
[defaults]
level = 0.95
min_images = 10
[run]
recipes = ["w8a8-minmax"]
[[bound]]
claim = "accuracy"
applies = {{ task = "{task}" }}
metric = "top1"
relation = "not_worse"
margin = {margin}
gate = true
reason = "for tests"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a threshold file."""
    (tmp_path / "bounds.toml").write_text(BOUNDS.format(task="id", margin=0.05))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def key(*options: str) -> tuple[str, str]:
    where = ("--thresholds", "bounds.toml", "--cache-dir", "cache")
    shown = CliRunner().invoke(main, ["cache-key", *where, *options])
    assert shown.exit_code == 0, shown.output
    code, _, content = shown.output.strip().partition("-")
    assert len(code) == len(content) == 16
    return code, content


def test_the_key_stays_where_embeddings_would(folder: Path) -> None:
    before = key()
    (folder / "bounds.toml").write_text(BOUNDS.format(task="id", margin=0.02))
    assert key() == before
    assert key("--cache-dir", "elsewhere") == before
    assert not list((folder / "cache").rglob("*.bin"))


@pytest.mark.parametrize(
    "change",
    [
        ("--recipes", "w8a8-minmax,w4a8-minmax"),
        ("--reference", "zoo:scenes-web"),
        ("--torch-threads", "2"),
        ("--limit", "3"),
        ("--data", "scenes:seed=7"),
    ],
    ids=lambda change: change[0],
)
@pytest.mark.usefixtures("folder")
def test_whatever_embeddings_depend_on_changes_the_second_half(change: tuple[str, ...]) -> None:
    (code, content), (same_code, other) = key(), key(*change)
    assert code == same_code
    assert content != other


def test_another_task_changes_the_second_half(folder: Path) -> None:
    before = key()
    (folder / "bounds.toml").write_text(BOUNDS.format(task="ood/near", margin=0.05).replace('"top1"', '"flip_rate"'))
    after = key()
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.usefixtures("folder")
def test_other_code_changes_the_first_half(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(engine, "installed", lambda _: "another torch")
    after = key()
    assert after[0] != before[0]
    assert after[1] != before[1]
