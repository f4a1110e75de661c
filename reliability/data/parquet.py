"""Parquet files with image bytes and labels, as on the Hugging Face hub."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.collection import Index
from reliability.data.decode import decode_rgb
from reliability.data.fingerprint import file_sha256
from reliability.errors import DataError, MissingExtraError
from reliability.types import I64, U8

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class ParquetImages:
    """The pictures of ``*.parquet`` in one folder, in file and row order.

    Attributes:
        folder: Files with columns ``image`` (struct with ``bytes``) and ``label``.
        classes: Number of classes, or None to accept any label.
    """

    folder: Path
    classes: int | None = None

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Sorted by name; an empty folder is a DataError."""
        files = tuple(sorted(self.folder.glob("*.parquet")))
        if not files:
            raise DataError(
                where=str(self.folder), what="no *.parquet file here", next="name the folder that holds them"
            )
        return files

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name and content hash of every file."""
        return {"kind": "parquet", "files": {file.name: file_sha256(file) for file in self.files}}

    @cached_property
    def index(self) -> Index:
        """Names such as ``train-00000-of-00004.parquet#17``, and labels."""
        parts = [self._labels(file) for file in self.files]
        ids = [f"{file.name}#{row}" for file, part in zip(self.files, parts, strict=True) for row in range(len(part))]
        return Index(np.array(ids), np.concatenate(parts))

    def _labels(self, file: Path) -> I64:
        labels = [label for batch in _batches(file, ["label"], None) for label in batch]
        end = math.inf if self.classes is None else self.classes
        for row, label in enumerate(labels):
            if not isinstance(label, int) or not 0 <= label < end:
                raise DataError(
                    where=f"{file}#{row}",
                    what="label outside the classes",
                    got=repr(label),
                    next=f"labels are whole numbers, from 0 and below {end}",
                )
        return np.array(labels, dtype=np.int64)

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows; row groups without one are not read."""
        start = 0
        for file in self.files:
            count = _open(file).metadata.num_rows
            inside = rows[(rows >= start) & (rows < start + count)] - start
            if len(inside):
                yield from _read_file(file, inside)
            start += count


def _open(file: Path) -> Any:
    """A ParquetFile, or a DataError that names the file."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            where=str(file), what="reading Parquet needs pyarrow", next="pip install 'quant-reliability[parquet]'"
        ) from error
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error
    missing = sorted({"image", "label"} - set(parquet.schema_arrow.names))
    if missing:
        raise DataError(
            where=str(file),
            what=f"no column {' and '.join(missing)}",
            got=", ".join(parquet.schema_arrow.names),
            next="columns are image (struct with bytes) and label",
        )
    return parquet


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(
        where=str(file),
        what="not a readable Parquet file",
        got=f"{type(error).__name__}: {error}",
        next="fetch the file again",
    )


def _batches(file: Path, columns: list[str], groups: list[int] | None) -> Iterator[list[Any]]:
    """Values of the first column, at most ``_ROWS_AT_ONCE`` at a time."""
    import pyarrow as pa

    try:
        for batch in _open(file).iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns, row_groups=groups):
            yield batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _read_file(file: Path, rows: I64) -> Iterator[U8]:
    metadata = _open(file).metadata
    start = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        wanted = set(rows[(rows >= start) & (rows < start + count)].tolist())
        if wanted:
            yield from _read_group(file, group, start, wanted)
        start += count


def _read_group(file: Path, group: int, start: int, wanted: set[int]) -> Iterator[U8]:
    row = start
    for images in _batches(file, ["image"], [group]):
        for image in images:
            if row in wanted:
                yield _decode(image, f"{file}#{row}")
            row += 1


def _decode(image: Any, where: str) -> U8:
    content = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(content, bytes):
        raise DataError(where=where, what="no image bytes in this row", next="repair or remove the row")
    return decode_rgb(io.BytesIO(content), where=where)


def read_parquet_images(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images of one size as [N, H, W, 3] uint8, and their labels [N]."""
    collection = ParquetImages(folder)
    images = collection.read(np.arange(len(collection.index.labels)))
    return np.stack(list(images)), collection.index.labels
