"""A table of picture paths, labels and groups, such as Waterbirds' ``metadata.csv`` as published.

Columns, by any of their names: the path below the table's folder (``path``,
``img_filename``, ...), the label (``label``, ``y``, ...), and optionally the group
(``group``) and the split (``split``: ``train``, ``val``, ``test``, or 0, 1, 2). Where a
table has ``place`` and no ``group``, each pair of label and place is a group, as in
Waterbirds.

Labels are whole numbers, or words, which become classes in the order of
``classnames.txt`` or else sorted. Groups are numbered likewise; where they are
numbers they stay as they are, and group 0 counts as the common one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from reliability.data.collection import Index
from reliability.data.dataset import DataSet, Request
from reliability.data.files import PictureFiles
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.prompts import find_prompts
from reliability.data.published_prompts import WATERBIRDS
from reliability.errors import DataError
from reliability.types import I64

PATH = ("path", "img_filename", "filename", "file_name", "filepath", "image")
LABEL = ("label", "y", "class", "target")
GROUP = ("group",)
PLACE = ("place",)
SPLIT = ("split",)
_SPLITS = {"0": "train", "1": "val", "2": "test", "valid": "val", "validation": "val"}
"""Other ways of writing a split; the numbers are those of the group-robustness benchmarks."""


_MOST_DIGITS = 9
_MOST = 100_000
"""Classes or groups that a table may number without naming them."""


@dataclass(frozen=True)
class Table:
    """The columns that matter, as text, one entry per picture; None where there is no such column."""

    file: Path
    path: list[str]
    label: list[str]
    group: list[str] | None
    place: list[str] | None
    split: list[str] | None

    def rows_of(self, split: str) -> I64:
        """Rows of one split, in the table's order."""
        return np.flatnonzero(np.array(self.split) == split)

    def numbers(self, column: list[str], names: tuple[str, ...] = ()) -> tuple[I64, tuple[str, ...]]:
        """A column as numbers, and what they stand for.

        Args:
            column: One of the table's.
            names: What the numbers stand for, where that is known.

        Raises:
            DataError: A value is neither a number that has a name nor a name.
        """
        if all(value.isdecimal() for value in column):
            # By its digits first: a number may be too long to be read at all.
            short = [len(value.lstrip("0")) <= _MOST_DIGITS for value in column]
            found = [int(value) if fits else len(names) + _MOST for value, fits in zip(column, short, strict=True)]
            known = names or tuple(str(number) for number in range(min(max(found) + 1, _MOST)))
            self._require(column, [number < len(known) for number in found], known)
            return np.array(found, dtype=np.int64), known
        known = names or tuple(sorted(set(column)))
        self._require(column, [value in known for value in column], known)
        at = {name: number for number, name in enumerate(known)}
        return np.array([at[value] for value in column], dtype=np.int64), known

    def _require(self, column: list[str], fine: list[bool], known: tuple[str, ...]) -> None:
        for row, (value, good) in enumerate(zip(column, fine, strict=True)):
            if not good or not value:
                raise DataError(
                    where=f"{self.file}, row {row + 1}", what="a value without a meaning", got=repr(value),
                    next=f"known: 0..{len(known) - 1}, or {', '.join(known[:8])}",
                )  # fmt: skip


def read_table(file: Path) -> Table:
    """Read the columns of a table.

    Raises:
        DataError: It cannot be read, has no column for path or label, or a row is short.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            header, *rows = [[value.strip() for value in row] for row in csv.reader(opened) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            where=str(file), what="the table cannot be read", got=f"{type(error).__name__}: {error}",
            next="write it as comma-separated UTF-8 text with a line of column names",
        ) from error  # fmt: skip
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(
                where=f"{file}, row {number}", what=f"the table has {len(header)} columns", got=f"{len(row)} values",
                next="mend the row, or put values with commas in quotation marks",
            )  # fmt: skip
    return Table(
        file,
        path=_needed(file, header, rows, PATH),
        label=_needed(file, header, rows, LABEL),
        group=_column(header, rows, GROUP),
        place=_column(header, rows, PLACE),
        split=_splits(_column(header, rows, SPLIT)),
    )


def _column(header: list[str], rows: list[list[str]], names: Sequence[str]) -> list[str] | None:
    at = next((header.index(name) for name in names if name in header), None)
    return None if at is None else [row[at] for row in rows]


def _needed(file: Path, header: list[str], rows: list[list[str]], names: Sequence[str]) -> list[str]:
    column = _column(header, rows, names)
    if not column:
        raise DataError(
            where=str(file), what="no row" if column is not None else f"no column {names[0]}", got=", ".join(header),
            next=f"name the column one of {', '.join(names)}",
        )  # fmt: skip
    return column


def _splits(column: list[str] | None) -> list[str] | None:
    return None if column is None else [_SPLITS.get(value.lower(), value.lower()) for value in column]


def table_groups(
    table: Table, labels: I64, class_names: tuple[str, ...], places: tuple[str, ...] = ()
) -> tuple[I64 | None, tuple[str, ...]]:
    """Group of every row, and the names of the groups; None and none where the table has no groups.

    Args:
        table: May have a group or a place column.
        labels: [N] of its rows.
        class_names: By label.
        places: Names of the places, where they are known.
    """
    if table.group is not None:
        return table.numbers(table.group)
    if table.place is None:
        return None, ()
    at, names = table.numbers(table.place, places)
    shown = names if places else tuple(f"place {name}" for name in names)
    return labels * len(names) + at, tuple(f"{name} on {place}" for name in class_names for place in shown)


def table_pictures(table: Table, rows: I64, labels: I64, groups: I64 | None) -> PictureFiles:
    """The pictures of some rows; their paths start at the table's folder.

    Raises:
        DataError: A path stands twice, is empty, or leads out of the folder.
    """
    seen: set[str] = set()
    for row in rows.tolist():
        path = table.path[row]
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or path in seen:
            raise DataError(
                where=f"{table.file}, row {row + 1}", what="a path is below the table's folder and stands once",
                got=repr(path), next="mend the row",
            )  # fmt: skip
        seen.add(path)
    whole = Index(np.array(table.path, dtype=np.str_), labels, groups)
    return PictureFiles(table.file.parent, partial(whole.at, rows))


def is_waterbirds(table: Table) -> bool:
    """Whether the table has the labels and places of Waterbirds' ``metadata.csv``."""
    binary = {"0", "1"}
    return table.place is not None and table.group is None and {*table.label, *table.place} <= binary


def open_csv(request: Request) -> DataSet:
    """A table of picture paths, labels and groups; no picture is read.

    The test split is evaluated, or the val split, or all rows where there is no
    split column; the train split serves range setting.

    Raises:
        UsageError: No location.
        DataError: The table cannot be used, or nothing names its classes.
    """
    table = read_table(request.path("FILE"))
    birds = is_waterbirds(table)
    words = () if all(value.isdecimal() for value in table.label) else tuple(sorted(set(table.label)))
    beside = [table.file.parent]
    prompts = find_prompts(beside, request.prompts, names=WATERBIRDS.class_names if birds else words)
    labels, _ = table.numbers(table.label, prompts.class_names)
    groups, group_names = table_groups(table, labels, prompts.class_names, ("land", "water") if birds else ())
    test, train = _parts(table)
    return labelled_data_set(
        request,
        Labelled(
            test=table_pictures(table, test, labels, groups),
            prompts=prompts,
            train=table_pictures(table, train, labels, groups) if len(train) else None,
            group_names=group_names,
        ),
    )


def _parts(table: Table) -> tuple[I64, I64]:
    """Rows that are evaluated, and rows for range setting."""
    if table.split is None:
        return np.arange(len(table.path)), np.arange(0)
    evaluated = next((rows for name in ("test", "val") if len(rows := table.rows_of(name))), np.arange(0))
    if not len(evaluated):
        raise DataError(
            where=str(table.file), what="no row of a test or val split", got=", ".join(sorted(set(table.split))[:5]),
            next="write train, val or test in the split column, or leave the column out",
        )  # fmt: skip
    return evaluated, table.rows_of("train")
