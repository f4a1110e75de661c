"""Snow, frost, fog and glare."""

from __future__ import annotations

import numpy as np

from reliability.data.corruptions.colour import WHITE, luminance, raise_value
from reliability.data.corruptions.corruption import Corruption, Parameters, single, stored
from reliability.data.corruptions.filters import motion_blur
from reliability.data.corruptions.resample import enlarge, zoom_crop
from reliability.data.counter_rng import U64, choice, normal, uniform
from reliability.types import F32, U8

_SNOW_DEGREES = (-135.0, -45.0)
_FIRST_WIBBLE = 100.0


def _flakes(height: int, width: int, parameters: Parameters, key: U64) -> F32:
    """Falling snow as levels 0..255, [N, H, W]: enlarged noise, cut off and smeared downwards."""
    mean, spread, factor, cutoff, radius, sigma, _ = parameters
    crop = (zoom_crop(height, factor), zoom_crop(width, factor))
    grains = np.float32(mean) + np.float32(spread) * normal(key, "snow", crop[0] * crop[1])
    layer = enlarge(grains.reshape(-1, 1, *crop), factor, height, width)
    layer[layer < np.float32(cutoff)] = 0
    low, high = _SNOW_DEGREES
    degrees = low + (high - low) * uniform(key, "wind")[:, 0]
    return np.rint(motion_blur(stored(layer * WHITE).astype(np.float32), radius, sigma, degrees)[:, 0])


def _snow(images: U8, parameters: Parameters, key: U64) -> U8:
    mix = np.float32(parameters[-1])
    flakes = _flakes(images.shape[1], images.shape[2], parameters, key)
    flakes += flakes[:, ::-1, ::-1]
    pale = np.float32(1.5) * luminance(images) + np.float32(0.5) * WHITE
    whitened = mix * images + (1 - mix) * np.maximum(images, pale[..., None])
    return stored(whitened + flakes[..., None])


def _frost(images: U8, parameters: Parameters, key: U64) -> U8:
    """Mix every picture with a random place of a random sheet of ice."""
    from reliability.data.corruptions.ice import SHEETS, ice_sheet

    keep, share, scale = parameters
    height, width = images.shape[1:3]
    which = choice(key, "sheet", SHEETS)
    side = ice_sheet(0).shape[0]
    start = uniform(key, "place", 2) * np.float32(side * scale)
    frosted = np.empty(images.shape, np.float32)
    for row, (number, (top, left)) in enumerate(zip(which, start.astype(np.int64), strict=True)):
        rows = ((top + np.arange(height) + 0.5) / scale).astype(np.int64) % side
        columns = ((left + np.arange(width) + 0.5) / scale).astype(np.int64) % side
        np.multiply(ice_sheet(int(number))[np.ix_(rows, columns)], np.float32(share), out=frosted[row])
    return stored(frosted + np.float32(keep) * images)


def plasma_fractal(draws: F32, decay: float) -> F32:
    """Cloud maps in [0, 1] that join up at their edges, [N, S, S].

    Args:
        draws: [N, S, S] uniform draws on [-1, 1), S a power of two; one for each point of the map.
        decay: How much less each finer octave wibbles; larger is smoother.

    Source:
        The published code's ``plasma_fractal``: midpoints are a quarter of the sum of
        their four neighbours plus a uniform draw of reach ``wibble ** 2``. No departure.
    """
    clouds = np.zeros_like(draws)
    step, wibble = draws.shape[1], _FIRST_WIBBLE
    while step >= 2:
        half, reach = step // 2, np.float32(wibble**2)
        middle, start = slice(half, None, step), slice(None, None, step)
        corners = clouds[:, start, start]
        square = corners + np.roll(corners, -1, axis=1)
        square += np.roll(square, -1, axis=2)
        clouds[:, middle, middle] = square / 4 + reach * draws[:, middle, middle]
        centres = clouds[:, middle, middle]
        above = centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        clouds[:, start, middle] = above / 4 + reach * draws[:, start, middle]
        beside = centres + np.roll(centres, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        clouds[:, middle, start] = beside / 4 + reach * draws[:, middle, start]
        step, wibble = half, wibble / decay
    clouds -= clouds.min(axis=(1, 2), keepdims=True)
    clouds /= np.maximum(clouds.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return clouds


def _fog(images: U8, parameters: Parameters, key: U64) -> U8:
    thickness, decay = parameters
    height, width = images.shape[1:3]
    side = 1 << (max(height, width) - 1).bit_length()
    draws = 2 * uniform(key, "plasma", side * side).reshape(-1, side, side) - 1
    clouds = plasma_fractal(draws, decay)[:, :height, :width, None]
    brightest_level = images.max(axis=(1, 2, 3), keepdims=True).astype(np.float32)
    gain = brightest_level / (brightest_level + np.float32(thickness) * WHITE)
    return stored((images + np.float32(thickness) * WHITE * clouds) * gain)


def _brightness(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    (rise,) = parameters
    return stored(raise_value(images, rise))


_BRIGHTNESS_LARGE = single(0.1, 0.2, 0.3, 0.4, 0.5)

_SNOW_SMALL = (
    (0.1, 0.2, 1, 0.6, 8, 3), (0.1, 0.2, 1, 0.5, 10, 4), (0.15, 0.3, 1.75, 0.55, 10, 4),
    (0.25, 0.3, 2.25, 0.6, 12, 6), (0.3, 0.3, 1.25, 0.65, 14, 12),
)  # fmt: skip


def _snow_table(*mixes: float) -> tuple[Parameters, ...]:
    return tuple((*row, mix) for row, mix in zip(_SNOW_SMALL, mixes, strict=True))


def _frost_table(scale: float, *rows: Parameters) -> tuple[Parameters, ...]:
    return tuple((*row, scale) for row in rows)


SNOW = Corruption(
    name="snow",
    card="Falling snow: smeared flakes over a whitened picture.",
    tables={
        224: (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        64: _snow_table(0.8, 0.8, 0.7, 0.65, 0.6),
        32: _snow_table(0.95, 0.9, 0.9, 0.85, 0.8),
    },
    apply=_snow,
    departures="ImageMagick's motion blur is computed here, and only the part of the noise that is enlarged is drawn.",
)  # fmt: skip
"""Parameters: mean, spread and zoom of the noise, its cutoff, radius and sigma of the smear, share of the picture."""

FROST = Corruption(
    name="frost",
    card="Ice on the window: a mix with a random place of a synthesised sheet of ice crystals.",
    tables={
        224: _frost_table(1.0, (1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        64: _frost_table(0.3, (1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
        32: _frost_table(0.2, (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    },
    apply=_frost,
    departures=(
        "The published textures are photographs that cannot be shipped: five sheets are synthesised instead, with the "
        "photographs' means and spreads per channel. Figures under frost are comparable within this project only."
    ),
)
"""Parameters: weights of the picture and of the ice, size of the ice (published: 1, 0.3 and 0.2)."""

FOG = Corruption(
    name="fog",
    card="Fog: a fractal cloud is added, and the whole is scaled back into range.",
    tables={
        224: ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        64: ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
        32: ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    },
    apply=_fog,
)
"""Parameters: thickness in units of white, decay of the cloud's octaves."""

BRIGHTNESS = Corruption(
    name="brightness",
    card="Too much light: V of HSV is raised.",
    tables={224: _BRIGHTNESS_LARGE, 64: _BRIGHTNESS_LARGE, 32: single(0.05, 0.1, 0.15, 0.2, 0.3)},
    apply=_brightness,
)
"""Parameter: the rise on a [0, 1] scale."""
