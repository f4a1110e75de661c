"""Frosted glass: pixels take the colour of near ones, between two light blurs.

The published code walks over the pixels from the last to the first and means to
swap each with a near one. Written as it is, on array views, the statement only
copies the near pixel over the walked one, and the released sets were made so.
A pixel therefore ends with the original colour of the pixel that its chain of
copies leads to, and chains can be followed for all pixels at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reliability.data.corruptions.corruption import Corruption, Parameters, stored
from reliability.data.corruptions.filters import gaussian, pictures, planes
from reliability.data.counter_rng import U64, uniform
from reliability.types import F32, U8

I32 = NDArray[np.int32]


def near_pixels(draws: F32, height: int, width: int, delta: int) -> I32:
    """Which pixel each pixel copies, as flat positions [N, H * W].

    Args:
        draws: [N, H * W] uniform draws.
        height, width: Of the pictures.
        delta: The copied pixel lies -delta..delta - 1 rows down and columns to the right.

    Conventions:
        The walk covers rows and columns delta + 1 .. side - delta; others keep
        themselves, so every position lies within the picture.
    """
    cell = (draws * np.float32(4 * delta * delta)).astype(np.int32)
    down, right = np.divmod(cell, np.int32(2 * delta))
    near = np.arange(height * width, dtype=np.int32)
    walked = np.zeros((height, width), dtype=bool)
    walked[delta + 1 : height - delta + 1, delta + 1 : width - delta + 1] = True
    step = (down - np.int32(delta)) * np.int32(width) + right - np.int32(delta)
    return near + np.where(walked.ravel(), step, np.int32(0))


def follow_copies(near: I32) -> I32:
    """Where each pixel's colour comes from after one walk from the last pixel to the first, [N, P].

    A pixel that copies a later one gets what that one had become by then; one that
    copies an earlier one gets its original. Each round follows the chains twice as
    far, so a few rounds finish them.
    """
    count, pixels = near.shape
    start = np.arange(count, dtype=np.int32)[:, None] * np.int32(pixels)
    source = (near + start).ravel()
    at = np.arange(source.size, dtype=np.int32)
    later = source > at
    rows = np.flatnonzero(later)
    while rows.size:
        through = source[rows]
        source[rows], later[rows] = source[through], later[through]
        rows = rows[later[rows]]
    origin: I32 = source.reshape(near.shape) - start
    return origin


def _shuffle(images: U8, delta: int, rounds: int, key: U64) -> U8:
    count, height, width, channels = images.shape
    flat = images.reshape(count, height * width, channels)
    for number in range(rounds):
        draws = uniform(key, f"glass/{number}", height * width)
        source = follow_copies(near_pixels(draws, height, width, delta))
        flat = np.take_along_axis(flat, source[..., None], axis=1)
    return flat.reshape(images.shape)


def _glass(images: U8, parameters: Parameters, key: U64) -> U8:
    sigma, delta, rounds = parameters
    blurred = stored(pictures(gaussian(planes(images), sigma)))
    return stored(pictures(gaussian(planes(_shuffle(blurred, int(delta), int(rounds), key)), sigma)))


GLASS_BLUR = Corruption(
    name="glass_blur",
    card="Frosted glass: pixels are copied from random near ones, between two light blurs.",
    tables={
        224: ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        64: ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        32: ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    },
    apply=_glass,
    departures="None in effect: the published swap of array views is a copy, and is a copy here.",
)
"""Parameters: sigma of both blurs in pixels, reach of a copy, walks."""
