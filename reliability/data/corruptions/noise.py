"""Noise that is independent in every pixel and channel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reliability.data.corruptions.corruption import Corruption, Parameters, single, stored
from reliability.data.counter_rng import U64, normal, uniform
from reliability.types import F32, U8

_LEVELS = 256
_NEGLIGIBLE = 2.0**-25
"""Tail of a Poisson law that draws with 24 random bits cannot reach."""


def _normal_like(images: U8, key: U64, stream: str) -> F32:
    return normal(key, stream, images[0].size).reshape(images.shape)


def _gaussian(images: U8, parameters: Parameters, key: U64) -> U8:
    (sigma,) = parameters
    noisy = images.astype(np.float32) / np.float32(255) + np.float32(sigma) * _normal_like(images, key, "gaussian")
    # Not `stored`: these bytes are older than its slack, and caches hold embeddings of them.
    truncated: U8 = (np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    return truncated


@lru_cache(maxsize=8)
def _poisson_table(photons: float) -> F32:
    """P(count <= k) by level, [256, K] with K a power of two; a level stands for a mean of level / 255 * photons."""
    from scipy.special import gammaincc

    reach = 2
    while gammaincc(reach, photons) < 1 - _NEGLIGIBLE:
        reach *= 2
    means = np.arange(_LEVELS) / 255 * photons
    table: F32 = gammaincc(np.arange(reach) + 1, means[:, None]).astype(np.float32)
    return table


def _shot(images: U8, parameters: Parameters, key: U64) -> U8:
    """Poisson counts by a binary search in the table of each pixel's level: the smallest k with P(count <= k) > u."""
    (photons,) = parameters
    table = _poisson_table(photons)
    reach = table.shape[1]
    flat = table.ravel()
    u = uniform(key, "shot", images[0].size).reshape(images.shape)
    first = images.astype(np.int32) * np.int32(reach)
    at = first.copy()
    step = reach // 2
    while step:
        at += (np.take(flat, at + np.int32(step - 1)) <= u) * np.int32(step)
        step //= 2
    levels = stored(np.arange(reach, dtype=np.float32) * np.float32(255 / photons))
    return np.take(levels, at - first)


def _impulse(images: U8, parameters: Parameters, key: U64) -> U8:
    """Salt and pepper at even odds, drawn for every channel of a pixel apart."""
    (amount,) = parameters
    u = uniform(key, "impulse", images[0].size).reshape(images.shape)
    salted = np.where(u < np.float32(amount), np.uint8(255), images)
    return np.where(u < np.float32(amount / 2), np.uint8(0), salted)


def _speckle(images: U8, parameters: Parameters, key: U64) -> U8:
    (sigma,) = parameters
    gain = 1 + np.float32(sigma) * _normal_like(images, key, "speckle")
    return stored(images * gain)


GAUSSIAN_NOISE = Corruption(
    name="gaussian_noise",
    card="A sensor in low light: normal noise of one standard deviation, added to every value.",
    tables={
        224: single(0.08, 0.12, 0.18, 0.26, 0.38),
        64: single(0.04, 0.08, 0.12, 0.15, 0.18),
        32: single(0.04, 0.06, 0.08, 0.09, 0.10),
    },
    apply=_gaussian,
)
"""Parameter: the standard deviation on a [0, 1] scale."""

SHOT_NOISE = Corruption(
    name="shot_noise",
    card="Light comes in photons: every value becomes a Poisson count around itself.",
    tables={
        224: single(60, 25, 12, 5, 3),
        64: single(250, 100, 50, 30, 15),
        32: single(500, 250, 100, 75, 50),
    },
    apply=_shot,
    departures="Counts come from the inverse distribution function at a 24-bit draw.",
)
"""Parameter: photons that white stands for."""

IMPULSE_NOISE = Corruption(
    name="impulse_noise",
    card="Bit errors: some values become black or white (salt and pepper), in each channel apart.",
    tables={
        224: single(0.03, 0.06, 0.09, 0.17, 0.27),
        64: single(0.01, 0.02, 0.05, 0.08, 0.14),
        32: single(0.01, 0.02, 0.03, 0.05, 0.07),
    },
    apply=_impulse,
)
"""Parameter: share of the values replaced."""

SPECKLE_NOISE = Corruption(
    name="speckle_noise",
    card="Noise that grows with the light: every value times one plus a normal draw.",
    tables={
        224: single(0.15, 0.2, 0.35, 0.45, 0.6),
        64: single(0.15, 0.2, 0.25, 0.3, 0.35),
        32: single(0.06, 0.1, 0.12, 0.16, 0.2),
    },
    apply=_speckle,
)
"""Parameter: standard deviation relative to the value."""
