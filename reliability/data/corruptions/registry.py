"""All corruptions by name, and the one function that applies them.

A new corruption is a :class:`Corruption` in its family's file and one entry of
``CORRUPTIONS``; sizes, bytes, batching and seeding are dealt with here.

Source:
    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations" (ICLR 2019), with the parameters of its
    224, 64 and 32 px sets. Departures: draws are addressed by picture, corruption
    and severity instead of coming from a global random state, and the result is
    not saved as JPEG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from reliability.data.corruptions.blur import DEFOCUS_BLUR, GAUSSIAN_BLUR, MOTION_BLUR, ZOOM_BLUR
from reliability.data.corruptions.corruption import SEVERITIES, Corruption
from reliability.data.corruptions.digital import CONTRAST, ELASTIC_TRANSFORM, JPEG_COMPRESSION, PIXELATE
from reliability.data.corruptions.extra import SATURATE, SPATTER
from reliability.data.corruptions.glass import GLASS_BLUR
from reliability.data.corruptions.noise import GAUSSIAN_NOISE, IMPULSE_NOISE, SHOT_NOISE, SPECKLE_NOISE
from reliability.data.corruptions.weather import BRIGHTNESS, FOG, FROST, SNOW
from reliability.data.counter_rng import U64, keys_for_ids
from reliability.data.dataset import unknown
from reliability.errors import UsageError
from reliability.types import I64, U8, Strings

_COMMON = (
    GAUSSIAN_NOISE,
    SHOT_NOISE,
    IMPULSE_NOISE,
    DEFOCUS_BLUR,
    GLASS_BLUR,
    MOTION_BLUR,
    ZOOM_BLUR,
    SNOW,
    FROST,
    FOG,
    BRIGHTNESS,
    CONTRAST,
    ELASTIC_TRANSFORM,
    PIXELATE,
    JPEG_COMPRESSION,
)

_EXTRA = (
    SPECKLE_NOISE,
    GAUSSIAN_BLUR,
    SPATTER,
    SATURATE,
)

COMMON = tuple(corruption.name for corruption in _COMMON)
"""The benchmark's fifteen, over which its mean corruption error is taken."""

EXTRA = tuple(corruption.name for corruption in _EXTRA)
"""Four more, which the benchmark keeps for validation."""

CORRUPTIONS: dict[str, Corruption] = {corruption.name: corruption for corruption in (*_COMMON, *_EXTRA)}
"""Name to corruption."""

_CHUNK_VALUES = 1 << 18
"""Pixel values damaged at once: bounds memory, and stays in a processor's cache (three times faster than 2^21)."""


def find_corruption(name: str, severity: int) -> Corruption:
    """Look a corruption up.

    Raises:
        UsageError: No such corruption, or a severity outside 1..5.
    """
    if name not in CORRUPTIONS:
        raise unknown("corruption", name, CORRUPTIONS, where=f"noise/{name}/{severity}")
    if severity not in SEVERITIES:
        where = f"noise/{name}/{severity}"
        raise UsageError(where=where, what="no such severity", got=severity, next="name one of 1, 2, 3, 4, 5")
    return CORRUPTIONS[name]


def _chunks(images: Sequence[U8]) -> Iterator[I64]:
    """Positions of pictures of one size, few enough to fit the chunk."""
    shapes = [image.shape for image in images]
    for shape in sorted(set(shapes)):
        rows = np.array([i for i, other in enumerate(shapes) if other == shape], dtype=np.int64)
        step = max(1, _CHUNK_VALUES // int(np.prod(shape)))
        yield from (rows[start : start + step] for start in range(0, len(rows), step))


def _damage(corruption: Corruption, images: list[U8], severity: int, key: U64) -> U8:
    batch = np.stack(images)
    return corruption.apply(batch, corruption.parameters(min(batch.shape[1:3]), severity), key)


def corrupt(images: Sequence[U8], name: str, severity: int, ids: Sequence[str] | Strings, seed: int) -> list[U8]:
    """Damage pictures, each as a pure function of its pixels, its id and the seed.

    Args:
        images: RGB uint8 [H, W, 3]; sizes may differ.
        name: One of ``CORRUPTIONS``.
        severity: 1..5, meant for the picture's size: see :meth:`Corruption.parameters`.
        ids: [N] picture names.
        seed: Non-negative integer.

    Returns:
        uint8 pictures of the same sizes, in the same order.

    Raises:
        UsageError: No such corruption or severity.

    Conventions:
        Values are clipped to [0, 1] and truncated to bytes, so even weak noise
        darkens a picture by half a level on average, as in the released sets.
    """
    corruption = find_corruption(name, severity)
    key = keys_for_ids(f"corruption/{name}/{severity}", seed, ids)
    damaged: list[U8] = list(images)
    for rows in _chunks(images):
        batch = _damage(corruption, [images[row] for row in rows], severity, key[rows])
        for row, image in zip(rows, batch, strict=True):
            damaged[row] = image
    return damaged
