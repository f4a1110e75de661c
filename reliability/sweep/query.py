"""Ask questions of a sweep's rows in SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from reliability.errors import MissingExtraError, UsageError
from reliability.evaluate.storage.store import Location, is_url, open_store
from reliability.sweep.rows import FOLDER

_AT_ONCE = 16
"""Files read from a URL at one time."""


class Answer(NamedTuple):
    """Column names and rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(out: Location, sql: str, parameters: Sequence[Any] = ()) -> Answer:
    """Run a statement over the view ``runs``, one row for each evaluation run.

    Args:
        out: A sweep's folder or URL.
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
    with _folder_of(out) as rows, duckdb.connect() as database:
        database.execute("SET allowed_directories = [?]", [str(rows)])
        database.execute("SET enable_external_access = false")
        database.read_parquet(str(rows / "*" / "*.parquet"), hive_partitioning=False).create_view("runs")
        try:
            found = database.execute(sql, list(parameters))
            columns = tuple(column[0] for column in found.description or ())
            return Answer(columns, found.fetchall())
        except duckdb.Error as error:
            raise UsageError(
                where="the statement", what="DuckDB cannot run it", got=str(error).splitlines()[0],
                next="the view is runs; DESCRIBE runs lists its columns",
            ) from error  # fmt: skip


@contextmanager
def _folder_of(out: Location) -> Iterator[Path]:
    """A folder with the rows: the sweep's own, or for a while a copy of what lies at a URL.

    Raises:
        UsageError: There are none.
    """
    if not is_url(out):
        folder = (Path(out) / FOLDER).resolve()
        yield folder if any(folder.glob("*/*.parquet")) else _refuse(out)
        return
    store = open_store(out, "OUT")
    names = sorted(store.names(FOLDER)) or _refuse(out)
    with tempfile.TemporaryDirectory(prefix="rows-") as copy, ThreadPoolExecutor(_AT_ONCE) as readers:
        for name, content in zip(names, readers.map(lambda name: store.read(f"{FOLDER}/{name}"), names), strict=True):
            file = Path(copy, name)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content or b"")
        yield Path(copy).resolve()


def _refuse(out: Location) -> NoReturn:
    raise UsageError(
        where=str(out), what="no sweep has left rows here", got="no Parquet file",
        next="reliability sweep PLAN --out PLACE",
    )  # fmt: skip
