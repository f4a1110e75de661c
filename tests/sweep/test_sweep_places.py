"""Sweeps whose rows and embeddings lie where fsspec reaches, not in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from sweeping import ALL, sweep

from reliability.cli import main
from reliability.errors import UsageError
from reliability.evaluate.filling.workers.local import LocalWorkers
from reliability.evaluate.storage.store import open_store
from reliability.sweep.query import query

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket() -> Iterator[str]:
    url = f"memory://{uuid4().hex}"
    fsspec.filesystem("memory").pipe(f"{url}/something-else", b"")
    yield url
    fsspec.filesystem("memory").rm(url, recursive=True)


def test_rows_and_embeddings_at_a_url_are_those_of_a_folder(
    plan_file: Path, tmp_path: Path, embeddings: Path, bucket: str
) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)
    sweep(plan_file, f"{bucket}/rows", f"{bucket}/cache")
    assert query(f"{bucket}/rows", ALL) == query(tmp_path / "whole", ALL)
    entries = open_store(f"{bucket}/cache", "--cache-dir").names()
    assert entries
    assert entries <= {file.relative_to(embeddings).as_posix() for file in embeddings.rglob("*.bin")}


def test_a_sweep_at_a_url_goes_on_where_it_was(plan_file: Path, embeddings: Path, bucket: str) -> None:
    out = f"{bucket}/rows"
    sweep(plan_file, out, embeddings)
    before, files = query(out, ALL), fsspec.filesystem("memory").find(out)
    rows = [file for file in files if file.endswith(".parquet")]
    fsspec.filesystem("memory").rm(rows[:2])
    bar = sweep(plan_file, out, embeddings)
    assert (bar.found, bar.done) == (28, 8)
    assert query(out, ALL) == before
    assert fsspec.filesystem("memory").find(out) == files


def test_processes_write_to_one_url(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)
    sweep(plan_file, f"file://{tmp_path}/out", f"file://{embeddings}", LocalWorkers(2))
    assert query(f"file://{tmp_path}/out", ALL) == query(tmp_path / "whole", ALL)
    assert query(tmp_path / "out", ALL) == query(tmp_path / "whole", ALL)


def test_rows_of_another_plan_at_a_url_are_not_mixed_in(plan_file: Path, embeddings: Path, bucket: str) -> None:
    sweep(plan_file, bucket, embeddings)
    plan_file.write_text(plan_file.read_text().replace('"nll"', '"brier"'))
    with pytest.raises(UsageError, match="rows of another sweep"):
        sweep(plan_file, bucket, embeddings)


def test_a_url_without_rows_is_named(bucket: str) -> None:
    with pytest.raises(UsageError, match="no sweep has left rows here"):
        query(bucket, "SELECT 1")


def test_commands_take_urls_and_show_rate_and_time_left(plan_file: Path, embeddings: Path, bucket: str) -> None:
    run = CliRunner().invoke(
        main, ["sweep", str(plan_file), "--out", bucket, "--cache-dir", str(embeddings), "--workers", "0"]
    )
    assert run.exit_code == 0, run.output
    assert "36 runs in memory://" in run.output
    assert "36/36 [00:0" in run.output
    assert "run/s]" in run.output
    told = CliRunner().invoke(main, ["query", bucket, "SELECT count(*) AS n FROM runs", "--format", "csv"])
    assert told.output.split() == ["n", "36"]
