"""Arrays in NumPy files, left on disk."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import DataError

_UNREADABLE = (ValueError, OSError, EOFError, OverflowError, SyntaxError, TokenError, MemoryError, RecursionError)
"""What NumPy raises on damaged files: it reads a header as a Python literal."""


def mapped(file: Path) -> NDArray[Any]:
    """The array of a file, left on disk; nothing is ever unpickled.

    Raises:
        DataError: It is missing, no array, or declares more than it holds.
    """
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        raise DataError(
            where=str(file), what="not a readable NumPy file", got=f"{type(error).__name__}: {error}",
            next="fetch the file again",
        ) from error  # fmt: skip
    return array
