"""Damage by processing: contrast, elastic warps, coarse pixels, JPEG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reliability.data.corruptions.corruption import Corruption, Parameters, single, stored
from reliability.data.corruptions.filters import gaussian_reflected
from reliability.data.corruptions.resample import sample
from reliability.data.counter_rng import U64, uniform
from reliability.types import F32, F64, U8

_ELASTIC_TRUNCATE = 3.0


def _contrast(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    (share,) = parameters
    # Sums of integers are exact, so the batch cannot change a mean's last bit.
    total = images.sum(axis=(1, 2), keepdims=True, dtype=np.int64)
    mean = (total / (images.shape[1] * images.shape[2])).astype(np.float32)
    return stored(images * np.float32(share) + mean * np.float32(1 - share))


def _cross(a: F64, b: F64) -> F64:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def affine_coordinates(corners: F64, moved: F64, height: int, width: int) -> tuple[F32, F32]:
    """Where the pixels of affinely moved pictures come from, as (down, right) [N, H, W].

    Args:
        corners: [3, 2] points (right, down) of the original.
        moved: [N, 3, 2] where they go.
        height, width: Of the pictures.
    """
    origin, along, across = moved[:, 1], moved[:, 0] - moved[:, 1], moved[:, 2] - moved[:, 1]
    area = _cross(along, across)
    right, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]

    def share(edge: F64, sign: float) -> F32:
        """Coordinate of every pixel along one side of the moved triangle."""
        weight_right, weight_down = sign * edge[:, 1] / area, -sign * edge[:, 0] / area
        constant = -(origin[:, 0] * weight_right + origin[:, 1] * weight_down)
        a, b, c = (each.astype(np.float32)[:, None, None] for each in (weight_right, weight_down, constant))
        found: F32 = a * right + b * down + c
        return found

    u, v = share(across, 1.0), share(along, -1.0)
    first, second = (corners[0] - corners[1]).astype(np.float32), (corners[2] - corners[1]).astype(np.float32)
    start = corners[1].astype(np.float32)
    return start[1] + u * first[1] + v * second[1], start[0] + u * first[0] + v * second[0]


def _moved_affinely(values: F32, reach: float, key: U64) -> F32:
    """Move three points about the middle by up to ``reach`` pixels each way."""
    height, width = values.shape[1:3]
    centre = np.array([width // 2, height // 2], dtype=np.float64)
    square = min(height, width) // 3
    corners = centre + square * np.array([[1, 1], [1, -1], [-1, -1]])
    moves = reach * (2 * uniform(key, "affine", 6).astype(np.float64) - 1).reshape(-1, 3, 2)
    down, right = affine_coordinates(corners, corners + moves, height, width)
    return sample(values, down, right, border="mirror")


def _elastic(images: U8, parameters: Parameters, key: U64) -> U8:
    alpha, sigma, reach = parameters
    count, height, width, _ = images.shape
    moved = _moved_affinely(images.astype(np.float32), reach, key)
    if alpha == 0:
        return stored(moved)
    draws = 2 * uniform(key, "elastic", 2 * height * width).reshape(count, 2, height, width) - 1
    shift = np.float32(alpha) * gaussian_reflected(draws, sigma, _ELASTIC_TRUNCATE)
    shift[:, 0] += np.arange(width, dtype=np.float32)
    shift[:, 1] += np.arange(height, dtype=np.float32)[:, None]
    return stored(sample(moved, shift[:, 1], shift[:, 0], border="reflect"))


def _resized(image: Image.Image, share: float) -> Image.Image:
    small = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)


def _pixelate(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    (share,) = parameters
    return np.stack([np.asarray(_resized(Image.fromarray(image), share)) for image in images])


def _recoded(image: NDArray[np.uint8], quality: int) -> U8:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        return np.asarray(decoded)


def _jpeg(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    (quality,) = parameters
    return np.stack([_recoded(image, int(quality)) for image in images])


def _elastic_table(scale: float, *rows: Parameters) -> tuple[Parameters, ...]:
    return tuple(tuple(scale * value for value in row) for row in rows)


_CONTRAST_LARGE = single(0.4, 0.3, 0.2, 0.1, 0.05)

CONTRAST = Corruption(
    name="contrast",
    card="Dull light: every value moves towards its channel's mean.",
    tables={224: _CONTRAST_LARGE, 64: _CONTRAST_LARGE, 32: single(0.75, 0.5, 0.4, 0.3, 0.15)},
    apply=_contrast,
)
"""Parameter: share of the distance to the mean that is kept."""

ELASTIC_TRANSFORM = Corruption(
    name="elastic_transform",
    card="Small regions stretched and squeezed, after a random affine move.",
    tables={
        224: _elastic_table(
            244, (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)
        ),
        64: _elastic_table(
            64, (0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)
        ),
        32: _elastic_table(
            32, (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)
        ),
    },
    apply=_elastic,
    departures="The affine move is read at exact positions; OpenCV long rounded them to 1/32 pixel.",
)
"""Parameters in pixels: strength and smoothness of the warp, reach of the affine move; 244 is the published 224."""

PIXELATE = Corruption(
    name="pixelate",
    card="Enlarged from too few pixels: reduced and enlarged again, with box filters.",
    tables={
        224: single(0.6, 0.5, 0.4, 0.3, 0.25),
        64: single(0.9, 0.8, 0.7, 0.6, 0.5),
        32: single(0.95, 0.9, 0.85, 0.75, 0.65),
    },
    apply=_pixelate,
)
"""Parameter: share of the side that is kept."""

JPEG_COMPRESSION = Corruption(
    name="jpeg_compression",
    card="Stored as JPEG of low quality and read again, by Pillow.",
    tables={
        224: single(25, 18, 15, 10, 7),
        64: single(65, 58, 50, 40, 25),
        32: single(80, 65, 58, 50, 40),
    },
    apply=_jpeg,
)
"""Parameter: quality, as Pillow counts it."""
