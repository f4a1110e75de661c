"""Edges, distances and shading of water drops, as OpenCV's functions give them.

Written from the functions' documentation, for a layer of levels [N, H, W]; each
picture is dealt with by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reliability.types import F32, U8

Mask = NDArray[np.bool_]

_WEAK, _STRONG = 50, 150
_TAN_22, _TAN_67 = np.tan(np.pi / 8), np.tan(3 * np.pi / 8)
_FARTHEST = 20.0
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], dtype=np.float32)
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def _gradient(layer: U8) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sobel derivatives (right, down) of one layer [H, W]."""
    levels = layer.astype(np.int32)
    right, down = (
        ndimage.correlate1d(
            ndimage.correlate1d(levels, [-1, 0, 1], axis, mode="nearest"), [1, 2, 1], 1 - axis, mode="nearest"
        )
        for axis in (1, 0)
    )
    return right, down


def _at(values: NDArray[np.int32], down: int, right: int) -> NDArray[np.int32]:
    """Neighbours at an offset, from an array padded by one pixel."""
    height, width = values.shape[0] - 2, values.shape[1] - 2
    return values[1 + down : 1 + down + height, 1 + right : 1 + right + width]


def canny(layer: U8) -> Mask:
    """Canny edges of one layer [H, W] between cutoffs 50 and 150 of |dx| + |dy|.

    Source:
        Canny, "A Computational Approach to Edge Detection" (1986), in the variant
        ``cv2.Canny(layer, 50, 150)`` documents: Sobel derivatives, the gradient's
        direction in four sectors, weak edges kept where they touch strong ones.
    """
    right, down = _gradient(layer)
    size = np.abs(right) + np.abs(down)
    padded = np.pad(size, 1)
    steep = np.abs(down) > np.abs(right) * _TAN_67
    level = np.abs(down) < np.abs(right) * _TAN_22
    rising = (right ^ down) < 0
    peak = np.select(
        [level, steep, rising],
        [
            (size > _at(padded, 0, -1)) & (size >= _at(padded, 0, 1)),
            (size > _at(padded, -1, 0)) & (size >= _at(padded, 1, 0)),
            (size > _at(padded, -1, 1)) & (size > _at(padded, 1, -1)),
        ],
        default=(size > _at(padded, -1, -1)) & (size > _at(padded, 1, 1)),
    ).astype(bool)
    pieces, count = ndimage.label(peak & (size > _WEAK), _EIGHT_NEIGHBOURS)
    kept = np.zeros(count + 1, dtype=bool)
    kept[pieces[peak & (size > _STRONG)]] = True
    kept[0] = False
    edges: Mask = kept[pieces]
    return edges


def equalize(levels: U8) -> U8:
    """Spread one layer's levels [H, W] evenly over 0..255, the lowest one at 0; a constant layer stays.

    >>> equalize(np.array([[3, 3, 7, 9]], np.uint8))
    array([[  0,   0, 128, 255]], dtype=uint8)
    """
    counts = np.bincount(levels.ravel(), minlength=256)
    lowest = int(np.flatnonzero(counts)[0])
    rest = levels.size - counts[lowest]
    if rest == 0:
        return levels
    counts[lowest] = 0
    table = np.rint(np.cumsum(counts) * np.float32(255 / rest)).astype(np.uint8)
    equal: U8 = table[levels]
    return equal


def _box(levels: NDArray[Any]) -> F32:
    mean: F32 = ndimage.uniform_filter(levels.astype(np.float32), 3, mode="mirror")
    return mean


def droplet_shading(layer: U8) -> F32:
    """Light on one layer of drops [H, W] by the distance from their rims, as levels 0..255."""
    edges = canny(layer)
    distance = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(layer.shape, _FARTHEST)
    near = equalize(_box(np.minimum(distance, _FARTHEST)).astype(np.uint8))
    lit = ndimage.correlate(near.astype(np.float32), _EMBOSS, mode="mirror")
    shading: F32 = np.rint(_box(np.clip(lit, 0, 255)))
    return shading
