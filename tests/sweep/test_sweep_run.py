"""Sweeps on real embeddings: figures, resuming, kills, and what may not be mixed."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sweeping import ALL, sweep

from reliability.data.registry import open_data
from reliability.errors import MissingExtraError, UsageError
from reliability.evaluate.engine import Engine
from reliability.evaluate.filling.workers.local import LocalWorkers
from reliability.evaluate.filling.workers.workers import WorkerDiedError
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from reliability.sweep import run
from reliability.sweep.query import query


def test_every_run_is_a_row_with_the_figures_of_the_gate(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    sweep(plan_file, tmp_path / "out", embeddings)
    columns, rows = query(tmp_path / "out", ALL)
    assert len(rows) == len({(r[2], r[7], r[9]) for r in rows}) == 36
    engine = Engine(Cache(embeddings), open_data("scenes", limit=24))
    model = parse_model("zoo:scenes-clean")
    for row in (dict(zip(columns, values, strict=True)) for values in rows[::5]):
        pair = engine.pair(model, parse_recipe(row["recipe"]), engine.data.task(row["task"]))
        gate = pair.harm(row["metric"])
        assert (row["reference"], row["candidate"], row["harm"]) == pytest.approx(
            (gate.reference.estimate, gate.candidate.estimate, gate.harm.estimate), abs=1e-12
        )
        assert row["images"] == gate.n == 24
        assert row["model"] == "scenes-clean"
        assert row["undefined"] is None


def test_limits_are_those_of_the_gate(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    text = plan_file.read_text().replace('["id", "noise/gaussian_noise/*"]', '"id"')
    plan_file.write_text(text + "limits = true\n")
    sweep(plan_file, tmp_path / "out", embeddings)
    sql = "SELECT lower, upper FROM runs WHERE metric = 'nll' AND recipe = 'w4a16-minmax'"
    engine = Engine(Cache(embeddings), open_data("scenes", limit=24))
    pair = engine.pair(parse_model("zoo:scenes-clean"), parse_recipe("w4a16-minmax"), engine.data.task("id"))
    gate = pair.harm("nll").harm
    assert query(tmp_path / "out", sql).rows == [(gate.lower, gate.upper)]


def test_a_metric_without_a_value_is_a_row_that_says_why(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    # One picture leaves nothing for a temperature to be fitted on, or nothing to judge it by.
    text = plan_file.read_text().replace("limit = 24", "limit = 1").replace('"nll"', '"ece_after_temperature"')
    plan_file.write_text(text.replace('["id", "noise/gaussian_noise/*"]', '"id"'))
    sweep(plan_file, tmp_path / "out", embeddings)
    figures = "reference, candidate, harm, undefined"
    for values in query(tmp_path / "out", f"SELECT {figures} FROM runs WHERE metric <> 'top1'").rows:
        assert values[:3] == (None, None, None)
        assert "there are no images" in values[3]


def test_a_second_start_measures_nothing_again(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    sweep(plan_file, tmp_path / "out", embeddings)
    before = query(tmp_path / "out", ALL)
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")}
    bar = sweep(plan_file, tmp_path / "out", embeddings)
    assert (bar.found, bar.done) == (36, 0)
    assert query(tmp_path / "out", ALL) == before
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "out").rglob("*.parquet")} == files


def test_a_sweep_stopped_between_two_files_goes_on_there(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)

    class Stops(LocalWorkers):
        def each(self, do, shared, items, *, on_device=False):
            with closing(super().each(do, shared, items)) as results:
                yield from results if on_device else (next(results) for _ in range(3))
            if not on_device:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(plan_file, tmp_path / "out", embeddings, Stops(0))
    bar = sweep(plan_file, tmp_path / "out", embeddings)
    assert (bar.found, bar.done) == (12, 24)
    assert query(tmp_path / "out", ALL) == query(tmp_path / "whole", ALL)


def test_processes_give_the_same_rows_and_one_that_dies_is_replaced(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(plan_file, tmp_path / "whole", embeddings)
    monkeypatch.setenv("DIES_ONCE", str(tmp_path / "died"))
    monkeypatch.setattr(run, "work", dies_once)
    sweep(plan_file, tmp_path / "out", embeddings, LocalWorkers(1), rows=20)
    assert (tmp_path / "died").exists()
    assert query(tmp_path / "out", ALL) == query(tmp_path / "whole", ALL)


def dies_once(where, chunk):
    from reliability.sweep.work import work

    mark = Path(os.environ["DIES_ONCE"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(where, chunk)


def dies(_where, _chunk):
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_always_die_are_an_error(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "work", dies)
    with pytest.raises(WorkerDiedError, match="a worker process died"):
        sweep(plan_file, tmp_path / "out", embeddings, LocalWorkers(1), rows=100)


def test_rows_of_another_plan_are_not_mixed_in(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    sweep(plan_file, tmp_path / "out", embeddings)
    plan_file.write_text(plan_file.read_text().replace('"nll"', '"brier"'))
    with pytest.raises(UsageError, match="rows of another sweep"):
        sweep(plan_file, tmp_path / "out", embeddings)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nothing FROM runs",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY runs TO '/tmp/stolen.csv'",
        "SELECT",
    ],
)
def test_a_query_that_cannot_be_run_or_reaches_out_is_refused(
    plan_file: Path, tmp_path: Path, embeddings: Path, sql: str
) -> None:
    sweep(plan_file, tmp_path / "out", embeddings)
    with pytest.raises(UsageError, match="DuckDB cannot run it"):
        query(tmp_path / "out", sql)


def test_a_folder_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no sweep has left rows here"):
        query(tmp_path, "SELECT 1")


def test_a_missing_library_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"quant-reliability\[sweep\]"):
        query(tmp_path, "SELECT 1")
