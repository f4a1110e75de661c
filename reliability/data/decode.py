"""Decode picture files with Pillow, into RGB arrays."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reliability.errors import DataError

_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on damaged files; `UnidentifiedImageError` is an OSError."""


def decode_rgb(file: IO[bytes] | Path, where: str) -> NDArray[np.uint8]:
    """Decode one picture to uint8 RGB [H, W, 3]; grey-scale and palettes are converted.

    Raises:
        DataError: The file cannot be read as a picture; ``where`` names it.
    """
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except _UNREADABLE as error:
        raise DataError(
            where=where,
            what="unreadable image",
            got=f"{type(error).__name__}: {error}",
            next="repair or remove the file; nothing is skipped silently",
        ) from error
