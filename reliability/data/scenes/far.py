"""Pictures that show none of the objects a model knows: far out-of-distribution.

The first three kinds are easy. The fourth puts something lit, coloured, filled
and shadowed on a familiar background, but without any shape, so that a model
that merely notices "an object is there" is caught.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reliability.data.counter_rng import U64, choice, uniform
from reliability.data.scenes.backgrounds import value_noise
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import F32, I64, Scenes
from reliability.data.scenes.vocabulary import ALL_BACKGROUNDS, BACKGROUNDS
from reliability.types import U8

FAR_KINDS = ("background", "texture", "noise", "blob")
"""Bare trained backgrounds, bare unseen ones, noise of pixels or colours, shapeless blobs."""

_BLOB_CELLS = 4
_BLOB_REACH = 1.2
"""Half the side of the square that a blob's lattice covers, in object units."""


def _lattice_noise(key: U64, x: F32, y: F32) -> F32:
    """Bilinear noise in [0, 1) at object coordinates [N, S, S]."""
    side = _BLOB_CELLS + 1
    lattice = uniform(key, "blob", side * side)
    u, v = (np.clip((at / _BLOB_REACH + 1) / 2 * _BLOB_CELLS, 0, _BLOB_CELLS - 1e-3) for at in (x, y))
    column, row = u.astype(np.int64), v.astype(np.int64)

    def corner(right: int, down: int) -> F32:
        at = ((row + down) * side + column + right).reshape(len(key), -1)
        found: F32 = np.take_along_axis(lattice, at, axis=1).reshape(x.shape)
        return found

    s, t = u - column, v - row
    upper = corner(0, 0) * (1 - s) + corner(1, 0) * s
    lower = corner(0, 1) * (1 - s) + corner(1, 1) * s
    noise: F32 = (upper * (1 - t) + lower * t).astype(np.float32)
    return noise


def blob_outline(scenes: Scenes, x: F32, y: F32) -> F32:
    """Level set of a lump whose edge wanders with noise, [N, S, S] in object units."""
    outline: F32 = np.hypot(x, y) - np.float32(0.25) - _lattice_noise(scenes.key, x, y)
    return outline


def _bare(scenes: Scenes, size: int) -> U8:
    return render(scenes, size, outline=None)


def _unseen_texture(scenes: Scenes, size: int) -> U8:
    unseen = len(ALL_BACKGROUNDS) - len(BACKGROUNDS)
    background = len(BACKGROUNDS) + choice(scenes.key, "texture", unseen)
    return render(replace(scenes, background=background), size, outline=None)


def _noise(scenes: Scenes, size: int) -> U8:
    """Independent pixels or smooth clouds of colour, half of the pictures each."""
    pixels = uniform(scenes.key, "pixels", size * size * 3).reshape(-1, size, size, 3)
    clouds = np.stack([value_noise(scenes.key, f"cloud/{c}", size, 5) for c in range(3)], axis=-1)
    smooth = choice(scenes.key, "smooth", 2) == 1
    return (np.where(smooth[:, None, None, None], clouds, pixels) * 255).astype(np.uint8)


def _blob(scenes: Scenes, size: int) -> U8:
    return render(scenes, size, outline=blob_outline)


_PAINTERS = (_bare, _unseen_texture, _noise, _blob)


def render_far(scenes: Scenes, kind: I64, size: int) -> U8:
    """Render scene i as ``FAR_KINDS[kind[i]]``, uint8 [N, size, size, 3]."""
    canvas = np.empty((len(scenes), size, size, 3), np.uint8)
    for number in np.unique(kind):
        rows = kind == number
        canvas[rows] = _PAINTERS[number](scenes.take(rows), size)
    return canvas
