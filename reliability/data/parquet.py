"""Parquet files with image bytes and labels, as on the Hugging Face hub.

::

    ROOT/test-00000-of-00001.parquet      or validation*, val*; in ROOT or ROOT/data
    ROOT/train-00000-of-00004.parquet     optional, for range setting
    ROOT/classnames.txt                   optional: the files usually name the classes

The picture is a struct with ``bytes``, or bytes; row groups are read one at a time.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.collection import Index, Pending
from reliability.data.dataset import DataSet, Request
from reliability.data.decode import decode_rgb
from reliability.data.fingerprint import file_sha256
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.prompts import find_prompts
from reliability.errors import DataError, MissingExtraError
from reliability.types import I64, U8

_ROWS_AT_ONCE = 128
"""Bounds memory: photographs of 100 KB make 13 MB."""

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "webp")
LABEL_COLUMNS = ("label", "fine_label", "labels", "cls")
"""Names that published sets use; the first that a file has counts."""

TEST_PATTERNS = ("test*.parquet", "val*.parquet")


@dataclass(frozen=True)
class ParquetImages:
    """The pictures of the Parquet files in one folder, in file and row order.

    Attributes:
        folder: Files with a column of ``IMAGE_COLUMNS`` and one of ``LABEL_COLUMNS``.
        classes: Number of classes, or None to accept any label.
        pattern: Which of the folder's files.
    """

    folder: Path
    classes: int | None = None
    pattern: str = "*.parquet"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Sorted by name; an empty folder is a DataError."""
        files = tuple(sorted(self.folder.glob(self.pattern)))
        if not files:
            raise DataError(
                where=str(self.folder), what=f"no {self.pattern} file here", next="name the folder that holds them"
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
        column = _column(file, LABEL_COLUMNS)
        labels = [label for batch in _batches(file, column, None) for label in batch]
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

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, yet to be decoded; row groups without one are not read."""
        start = 0
        for file in self.files:
            count = _open(file).metadata.num_rows
            inside = rows[(rows >= start) & (rows < start + count)] - start
            if len(inside):
                yield from _read_file(file, inside)
            start += count

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return (picture() for picture in self.pending(rows))

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes as the first file tells them; empty where it does not."""
        return _named_classes(self.files[0])


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
        names = parquet.schema_arrow.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error
    missing = [wanted[0] for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS) if not set(wanted) & set(names)]
    if missing:
        raise DataError(
            where=str(file),
            what=f"no column {' and '.join(missing)}",
            got=", ".join(names),
            next=f"a picture column is one of {', '.join(IMAGE_COLUMNS)}, a label column one of "
            f"{', '.join(LABEL_COLUMNS)}",
        )
    return parquet


def _column(file: Path, known: tuple[str, ...]) -> str:
    names = _open(file).schema_arrow.names
    return next(name for name in known if name in names)


def _named_classes(file: Path) -> tuple[str, ...]:
    """Class names that the ``datasets`` library keeps in a file's schema."""
    metadata = _open(file).schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        names = features[_column(file, LABEL_COLUMNS)]["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    usable = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
    return tuple(name.replace("_", " ") for name in names) if usable and len(set(names)) == len(names) else ()


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(
        where=str(file),
        what="not a readable Parquet file",
        got=f"{type(error).__name__}: {error}",
        next="fetch the file again",
    )


def _batches(file: Path, column: str, groups: list[int] | None) -> Iterator[list[Any]]:
    """Values of a column, at most ``_ROWS_AT_ONCE`` at a time."""
    import pyarrow as pa

    try:
        for batch in _open(file).iter_batches(batch_size=_ROWS_AT_ONCE, columns=[column], row_groups=groups):
            yield batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _read_file(file: Path, rows: I64) -> Iterator[Pending]:
    metadata, column = _open(file).metadata, _column(file, IMAGE_COLUMNS)
    start = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        wanted = set(rows[(rows >= start) & (rows < start + count)].tolist())
        if wanted:
            values = (value for batch in _batches(file, column, [group]) for value in batch)
            yield from (
                partial(_decode, value, f"{file}#{row}") for row, value in enumerate(values, start) if row in wanted
            )
        start += count


def _decode(image: Any, where: str) -> U8:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes):
        raise DataError(where=where, what="no image bytes in this row", next="repair or remove the row")
    return decode_rgb(io.BytesIO(content), where=where)


def read_parquet_images(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images of one size as [N, H, W, 3] uint8, and their labels [N]."""
    collection = ParquetImages(folder)
    images = collection.read(np.arange(len(collection.index.labels)))
    return np.stack(list(images)), collection.index.labels


def open_parquet(request: Request) -> DataSet:
    """Parquet files of pictures and labels; no picture is read.

    Raises:
        UsageError: No location.
        DataError: No file, or no class names in it or beside it.
    """
    root = request.path("FOLDER")
    folder = root / "data" if any((root / "data").glob("*.parquet")) else root
    pattern = next((found for found in TEST_PATTERNS if any(folder.glob(found))), "*.parquet")
    named = ParquetImages(folder, None, pattern).class_names()
    prompts = find_prompts([folder, root], request.prompts, names=named)
    classes = len(prompts.class_names)
    apart = pattern in TEST_PATTERNS and any(folder.glob("train*.parquet"))
    train = ParquetImages(folder, classes, "train*.parquet") if apart else None
    return labelled_data_set(request, Labelled(ParquetImages(folder, classes, pattern), prompts, train))
