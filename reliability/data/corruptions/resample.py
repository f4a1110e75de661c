"""Enlarging about the centre, and reading pictures between their pixels."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reliability.types import F32, I64

I32 = NDArray[np.int32]


def zoom_crop(side: int, factor: float) -> int:
    """Pixels of a side that fill it again once enlarged by ``factor``."""
    return math.ceil(side / factor)


def _positions(side: int, factor: float) -> tuple[I64, F32]:
    """Left neighbour [side] and weight of the right one, within a crop of ``zoom_crop`` pixels.

    The enlarged crop can be a pixel or two larger than the side; as many are
    trimmed at the front as behind.
    """
    crop = zoom_crop(side, factor)
    enlarged = round(crop * factor)
    trim = (enlarged - side) // 2
    at = np.arange(trim, trim + side) * ((crop - 1) / max(enlarged - 1, 1))
    left = np.clip(at.astype(np.int64), 0, max(crop - 2, 0))
    return left, np.clip(at - left, 0, 1).astype(np.float32)


def _blend(values: F32, left: I64, weight: F32, axis: int) -> F32:
    near = np.take(values, left, axis=axis)
    far: F32 = np.take(values, np.minimum(left + 1, values.shape[axis] - 1), axis=axis)
    far -= near
    far *= weight
    far += near
    return far


def enlarge(crop: F32, factor: float, height: int, width: int) -> F32:
    """Enlarge crops [N, C, h, w] to [N, C, height, width] linearly; h and w are those of :func:`zoom_crop`.

    Conventions:
        The outermost pixel centres stay in place, as in ``scipy.ndimage.zoom`` of order 1.
    """
    rows, down = _positions(height, factor)
    columns, right = _positions(width, factor)
    return _blend(_blend(crop, rows, down[:, None], axis=2), columns, right, axis=3)


def clipped_zoom(values: F32, factor: float) -> F32:
    """Enlarge the middle of planes [N, C, H, W] by ``factor`` so that it fills them."""
    height, width = values.shape[2:]
    crop_height, crop_width = zoom_crop(height, factor), zoom_crop(width, factor)
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return enlarge(values[:, :, top : top + crop_height, left : left + crop_width], factor, height, width)


def _fold(at: F32, count: int, repeat_edge: bool) -> F32:
    """Bring coordinates beyond 0..count - 1 back by reflection, with or without repeating the edge pixel."""
    start, period = (np.float32(-0.5), 2 * count) if repeat_edge else (np.float32(0), max(2 * (count - 1), 1))
    along = at - start
    along -= np.float32(period) * np.floor(along / np.float32(period))
    folded: F32 = np.clip(np.minimum(along, np.float32(period) - along) + start, 0, count - 1)
    return folded


def sample(images: F32, down: F32, right: F32, border: Literal["reflect", "mirror"]) -> F32:
    """Read pictures [N, H, W, C] at coordinates [N, H, W] in pixels, bilinearly.

    Args:
        images: Pictures.
        down, right: Where each result pixel comes from; may lie outside.
        border: ``reflect`` repeats the edge pixel (b a | a b), ``mirror`` does not (b | a b).
    """
    count, height, width, channels = images.shape
    y, x = _fold(down, height, border == "reflect"), _fold(right, width, border == "reflect")
    v, u = (y - np.floor(y))[..., None], (x - np.floor(x))[..., None]
    top, left = y.astype(np.int32), x.astype(np.int32)
    picture = np.arange(count, dtype=np.int32)[:, None, None] * np.int32(height * width)
    flat = images.reshape(-1, channels)

    def along(row: I32) -> F32:
        start = picture + row * np.int32(width)
        near = np.take(flat, start + left, axis=0)
        far: F32 = np.take(flat, start + np.minimum(left + 1, width - 1), axis=0)
        far -= near
        far *= u
        far += near
        return far

    upper, lower = along(top), along(np.minimum(top + 1, height - 1))
    lower -= upper
    lower *= v
    lower += upper
    return lower
