"""Ask questions of a sweep's rows in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reliability.errors import MissingExtraError, UsageError
from reliability.sweep.rows import FOLDER


class Answer(NamedTuple):
    """Column names and rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(out: Path, sql: str, parameters: Sequence[Any] = ()) -> Answer:
    """Run a statement over the view ``runs``, one row for each evaluation run.

    Args:
        out: A sweep's folder.
        sql: Such as ``"SELECT recipe, avg(harm) FROM runs WHERE metric = 'ece' GROUP BY recipe"``.
        parameters: For the ``?`` of the statement.

    Raises:
        UsageError: There are no rows, or the statement is at fault.
        MissingExtraError: DuckDB is not installed.

    Conventions:
        The database lives in memory and reaches no file but the rows, so a statement
        sees nothing else on this machine.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError(
            where="reliability query", what="queries are answered by DuckDB", got="not installed",
            next='pip install "quant-reliability[sweep]"',
        ) from error  # fmt: skip
    rows = out / FOLDER
    if not any(rows.glob("*/*.parquet")):
        raise UsageError(
            where=str(out),
            what="no sweep has left rows here",
            got="no Parquet file",
            next="reliability sweep PLAN --out DIR",
        )
    with duckdb.connect() as database:
        database.execute("SET allowed_directories = [?]", [str(rows.resolve())])
        database.execute("SET enable_external_access = false")
        database.read_parquet(str(rows.resolve() / "*" / "*.parquet"), hive_partitioning=False).create_view("runs")
        try:
            found = database.execute(sql, list(parameters))
            columns = tuple(column[0] for column in found.description or ())
            return Answer(columns, found.fetchall())
        except duckdb.Error as error:
            raise UsageError(
                where="the statement", what="DuckDB cannot run it", got=str(error).splitlines()[0],
                next="the view is runs; DESCRIBE runs lists its columns",
            ) from error  # fmt: skip
