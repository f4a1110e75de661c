"""Evaluation runs as rows of partitioned Parquet: ``rows/model=NAME/part-<chunk>.parquet``.

A chunk of units becomes one file, written whole or not at all and named by what
it holds, so a sweep that was killed goes on where it stopped and no row is there twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import quote

from reliability.errors import MissingExtraError
from reliability.evaluate.storage.store import Store
from reliability.sweep.grid import Unit
from reliability.sweep.measure import Figure

FOLDER = "rows"
_TEXT = ("data", "model", "recipe", "method", "activation", "towers", "backend", "task", "role", "metric", "score")
_WHOLE = ("weight_bits", "activation_bits", "draw", "images")
_NUMBER = ("reference", "candidate", "harm", "lower", "upper")
COLUMNS = (*_TEXT, *_WHOLE, *_NUMBER, "undefined")
"""What a row holds."""


def require_pyarrow() -> Any:
    """pyarrow's Parquet module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError(
            where="reliability sweep", what="rows are written as Parquet, which needs pyarrow", got="not installed",
            next='pip install "quant-reliability[sweep]"',
        ) from error  # fmt: skip
    return parquet


def chunk_name(units: Sequence[Unit]) -> str:
    """Partition and file of a chunk of one model's units, as a path below the folder of rows."""
    named = [[u.data, u.model.name, u.recipe.name, u.task, [list(q) for q in u.questions]] for u in units]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:24]
    return f"model={quote(units[0].model.name, safe='')}/part-{digest}.parquet"


def write_rows(store: Store, name: str, measured: Iterable[tuple[Unit, Figure]]) -> int:
    """Write a chunk's rows and return how many there are.

    Raises:
        CacheError: The place cannot be written.
    """
    import pyarrow as pa

    rows = [_row(unit, figure) for unit, figure in measured]
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(columns[name], type=_type(pa, name)) for name in COLUMNS})
    content = BytesIO()
    require_pyarrow().write_table(table, content, compression="zstd")
    store.publish(name, content.getvalue())
    return len(rows)


def _type(pa: Any, name: str) -> Any:
    if name in _WHOLE:
        return pa.int32()
    if name in _NUMBER:
        return pa.float64()
    # The same few words in every row: each is stored once.
    return pa.dictionary(pa.int32(), pa.string())


def _row(unit: Unit, figure: Figure) -> tuple[Any, ...]:
    recipe = unit.recipe
    text = (
        unit.data, unit.model.name, recipe.name, recipe.method, recipe.activation, recipe.towers, recipe.backend,
        unit.task, unit.task.partition("/")[0], figure.question.metric, figure.question.score,
    )  # fmt: skip
    whole = (recipe.weight_bits, recipe.activation_bits, recipe.seed, figure.images)
    numbers = (figure.reference, figure.candidate, figure.harm, figure.lower, figure.upper)
    return (*text, *whole, *numbers, figure.undefined)
