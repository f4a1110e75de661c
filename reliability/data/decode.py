"""Decode picture files with Pillow, into RGB arrays."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reliability.errors import DataError

MAX_PIXELS = 64 * 1024 * 1024
"""A picture that declares more is refused before any of them is decoded; Pillow itself only warns up to 179 million."""

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, *_BOMBS)
"""What Pillow raises on damaged files; `UnidentifiedImageError` is an OSError."""


def decode_rgb(file: IO[bytes] | Path, where: str) -> NDArray[np.uint8]:
    """Decode one picture to uint8 RGB [H, W, 3]; grey-scale and palettes are converted.

    Raises:
        DataError: The file cannot be read as a picture, or declares too many pixels; ``where`` names it.
    """
    try:
        with Image.open(file) as image:
            _require_bounded(image, where)
            return np.asarray(image.convert("RGB"))
    except _UNREADABLE as error:
        raise DataError(
            where=where,
            what="unreadable image",
            got=f"{type(error).__name__}: {error}",
            next="repair or remove the file; nothing is skipped silently",
        ) from error


def _require_bounded(image: Image.Image, where: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            where=where, what=f"too many pixels: a picture has at most {MAX_PIXELS:,}", got=f"{width} x {height}",
            next="store a smaller picture; nothing was decoded",
        )  # fmt: skip
