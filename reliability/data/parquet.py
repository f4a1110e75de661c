"""Parquet files with image bytes and labels, as on the Hugging Face hub."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reliability.data.decode import decode_rgb
from reliability.errors import DataError, MissingExtraError


def iter_parquet(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8], int]]:
    """Yield ``(image id, RGB uint8 [H, W, 3], label)`` in file and row order.

    Args:
        folder: Holds ``*.parquet`` with columns ``image`` (struct with ``bytes``) and ``label``.

    Raises:
        DataError: No file, or a picture that cannot be decoded.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            where=str(folder), what="reading Parquet needs pyarrow", next="pip install 'quant-reliability[parquet]'"
        ) from error
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise DataError(where=str(folder), what="no *.parquet file here", next="name the folder that holds them")
    for file in files:
        row = 0
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1024, columns=["image", "label"]):
            for image, label in zip(batch.column("image").to_pylist(), batch.column("label").to_pylist(), strict=True):
                name = f"{file.name}#{row}"
                yield name, decode_rgb(io.BytesIO(image["bytes"]), where=f"{folder}/{name}"), int(label)
                row += 1


def read_parquet_images(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images of one size as [N, H, W, 3] uint8, and their labels [N]."""
    rows = list(iter_parquet(folder))
    return np.stack([image for _, image, _ in rows]), np.array([label for _, _, label in rows], dtype=np.int64)
