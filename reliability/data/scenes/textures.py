"""Textures and noise that fill a picture: far out-of-distribution.

None is a background of any scene, trained or held out. A painter gets scenes
and a size and returns values in [0, 1] as float32 [N, size, size], which two
random colours then make visible; noise brings its own colours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reliability.data.counter_rng import U64, choice, normal, uniform
from reliability.data.scenes.backgrounds import grid, value_noise
from reliability.data.scenes.render import stored
from reliability.data.scenes.sample import F32, Scenes
from reliability.types import U8

_CELLS = 5
"""Cells per side of the cellular texture."""

_OCTAVES = (2, 4, 8, 16)
"""Cells per side of the layers of a cloud."""


def _spread(key: U64, stream: str, low: float, high: float) -> F32:
    """One draw per picture, [N, 1, 1]."""
    return (low + (high - low) * uniform(key, stream)).astype(np.float32)[:, :, None]


def _turned(key: U64, size: int) -> tuple[F32, F32]:
    """Coordinates under a random rotation, [N, S, S]."""
    x, y = grid(size)
    angle = _spread(key, "turn", 0, np.pi)
    across, along = np.cos(angle), np.sin(angle)
    return np.asarray(across * x + along * y, np.float32), np.asarray(across * y - along * x, np.float32)


def _zebra(key: U64, size: int) -> F32:
    u, _ = _turned(key, size)
    bent = u * _spread(key, "rate", 4, 7) + 1.6 * value_noise(key, "bend", size, 4)
    return np.clip(0.5 + 2.5 * np.sin(2 * np.pi * bent), 0, 1)


def _cells(key: U64, size: int) -> F32:
    """Cracks between cells: the gap between the nearest and the second nearest of scattered points."""
    x, y = grid(size)
    points = uniform(key, "points", _CELLS * _CELLS * 2).reshape(-1, _CELLS * _CELLS, 2)
    column, row = np.arange(_CELLS * _CELLS) % _CELLS, np.arange(_CELLS * _CELLS) // _CELLS
    first = np.full((len(key), size, size), 9, np.float32)
    second = first.copy()
    for index in range(_CELLS * _CELLS):
        at_x = (column[index] + points[:, index, 0]) / _CELLS
        at_y = (row[index] + points[:, index, 1]) / _CELLS
        away = np.hypot(x - at_x[:, None, None], y - at_y[:, None, None])
        second = np.minimum(second, np.maximum(first, away))
        first = np.minimum(first, away)
    cracks: F32 = np.clip((second - first) * 9, 0, 1)
    return cracks


def _basket(key: U64, size: int) -> F32:
    """Straps that pass over and under one another."""
    u, v = _turned(key, size)
    rate = _spread(key, "rate", 4, 6)
    over = (np.floor(u * rate) + np.floor(v * rate)) % 2 == 0
    along = np.where(over, u, v) * rate
    straps: F32 = np.abs(np.sin(np.pi * along)) * (0.8 + 0.2 * value_noise(key, "straw", size, 16))
    return straps


def _plasma(key: U64, size: int) -> F32:
    u, v = _turned(key, size)
    waves = [np.sin(_spread(key, f"rate/{k}", 6, 14) * at + 9 * _spread(key, f"at/{k}", 0, 1)) for k, at in
             enumerate((u, v, u + v, np.hypot(u - 0.4, v - 0.6)))]  # fmt: skip
    plasma: F32 = np.clip(0.5 + 0.3 * np.add.reduce(waves), 0, 1)
    return plasma


def _hatched(key: U64, size: int) -> F32:
    u, v = _turned(key, size)
    rate = _spread(key, "rate", 6, 10)
    lines = (np.abs((u * rate) % 1 - 0.5) < 0.12) | (np.abs((u * 0.5 + v * 0.87) * rate % 1 - 0.5) < 0.12)
    return np.where(lines, 0.0, 0.75 + 0.25 * value_noise(key, "paper", size, 14)).astype(np.float32)


def _scales(key: U64, size: int) -> F32:
    """Overlapping rows of scales, each darker towards its root."""
    x, y = grid(size)
    rate = _spread(key, "rate", 4, 6)
    row = np.floor(y * rate + _spread(key, "y", 0, 1))
    across = (x * rate + 0.5 * (row % 2) + _spread(key, "x", 0, 1)) % 1 - 0.5
    down = (y * rate + _spread(key, "y", 0, 1)) % 1
    scales: F32 = np.clip(1.25 - 1.6 * np.hypot(across, 0.8 * down), 0, 1)
    return scales


def _ripples(key: U64, size: int) -> F32:
    """Rings of a wave whose centre lies outside the picture."""
    x, y = grid(size)
    away = np.hypot(x + _spread(key, "x", 0.2, 0.9), y - _spread(key, "y", -0.3, 1.3))
    rings: F32 = 0.5 + 0.5 * np.sin(2 * np.pi * away * _spread(key, "rate", 5, 9))
    return rings


TEXTURES: dict[str, Callable[[U64, int], F32]] = {
    "zebra": _zebra, "cells": _cells, "basket": _basket, "plasma": _plasma,
    "hatched": _hatched, "scales": _scales, "ripples": _ripples,
}  # fmt: skip
"""Texture name to painter; a new one is one function and one line."""


def textures(scenes: Scenes, size: int) -> U8:
    """One of ``TEXTURES`` between two random colours, uint8 [N, size, size, 3]."""
    amount = np.empty((len(scenes), size, size, 1), np.float32)
    which = choice(scenes.key, "texture", len(TEXTURES))
    for index, painter in enumerate(TEXTURES.values()):
        amount[which == index, :, :, 0] = painter(scenes.key[which == index], size)
    dark, light = (_colours(scenes.key, side) for side in ("dark", "light"))
    canvas = (0.55 * dark + amount * (0.35 + 0.65 * light - 0.55 * dark)) * scenes.light[:, None, None, None]
    return stored(canvas)


def _colours(key: U64, stream: str) -> F32:
    return uniform(key, stream, 3)[:, None, None, :]


def _pixels(key: U64, size: int) -> F32:
    return uniform(key, "pixels", size * size * 3).reshape(-1, size, size, 3)


def _grey(key: U64, size: int) -> F32:
    grey = 0.5 + 0.22 * normal(key, "grey", size * size).reshape(-1, size, size, 1)
    return np.repeat(grey, 3, axis=-1)


def _clouds(key: U64, size: int) -> F32:
    """Octaves whose height falls with their rate, as in photographs."""
    layers = np.stack([_octaves(key, f"cloud/{c}", size) for c in range(3)], axis=-1)
    clouds: F32 = np.clip(0.5 + 1.3 * (layers - 0.5), 0, 1)
    return clouds


def _octaves(key: U64, stream: str, size: int) -> F32:
    layers = [value_noise(key, f"{stream}/{rate}", size, rate) / np.float32(rate) for rate in _OCTAVES]
    total: F32 = np.add.reduce(layers) / np.float32(sum(1 / rate for rate in _OCTAVES))
    return total


def _blocks(key: U64, size: int) -> F32:
    """A mosaic of 6 x 6 flat blocks."""
    at = np.arange(size) * 6 // size
    blocks = uniform(key, "block", 6 * 6 * 3).reshape(-1, 6, 6, 3)
    return blocks[:, at][:, :, at]


NOISE: dict[str, Callable[[U64, int], F32]] = {
    "pixels": _pixels, "grey": _grey, "clouds": _clouds, "blocks": _blocks,
}  # fmt: skip
"""Kind of noise to painter of RGB [N, size, size, 3] in [0, 1]."""


def noise(scenes: Scenes, size: int) -> U8:
    """One of ``NOISE``, uint8 [N, size, size, 3]."""
    canvas = np.empty((len(scenes), size, size, 3), np.float32)
    which = choice(scenes.key, "noise", len(NOISE))
    for index, painter in enumerate(NOISE.values()):
        canvas[which == index] = painter(scenes.key[which == index], size)
    return stored(canvas)
