"""Synthesised sheets of window ice, in place of photographs that cannot be shipped.

The published code mixes in a place of one of five photographs. Here are five
sheets with the photographs' colours, of drawn needles and feathers of ice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from reliability.data.counter_rng import U64, keys, uniform
from reliability.types import F32, F64, U8

SIDE = 512
"""Pixels; a sheet joins up at its edges, so that a picture of any size finds a place on it."""


@dataclass(frozen=True)
class _Ice:
    """Looks of one sheet.

    Attributes:
        mean, spread: Of each channel, 0..255.
        needles: Number of crystals.
        length: Longest crystal in pixels.
        barbs: Side branches on each side of a crystal; 0 draws bare needles.
        wrinkles: Weight of the creases of the film between the crystals.
        cloud: Share of slow variation in the tone.
    """

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]
    needles: int
    length: float
    barbs: int
    wrinkles: float
    cloud: float


_PALE = _Ice((201, 205, 215), (21, 22, 23), 3500, 60, 0, 0.9, 0.42)
_SHEETS = (
    _Ice((78, 149, 166), (27, 17, 15), 900, 60, 0, 2.0, 0.5),
    _PALE,
    _PALE,
    _Ice((138, 153, 165), (29, 29, 30), 2600, 26, 7, 0.9, 0.3),
    _Ice((112, 123, 135), (44, 43, 42), 800, 60, 18, 0.5, 0.48),
)
SHEETS = len(_SHEETS)
"""As many as the published code draws from; the second and third look alike there, too."""


@dataclass(frozen=True)
class _Crystals:
    """Where ``n`` crystals stand and how they lie: root (x, y), angle, length and tone, each [n]."""

    x: F64
    y: F64
    angle: F64
    length: F64
    tone: F64


def _grow(key: U64, ice: _Ice) -> _Crystals:
    def draw(stream: str, low: float, high: float) -> F64:
        drawn: F64 = low + (high - low) * uniform(key, stream, ice.needles)[0].astype(np.float64)
        return drawn

    return _Crystals(
        x=draw("x", 0, SIDE),
        y=draw("y", 0, SIDE),
        angle=draw("angle", 0, 2 * np.pi),
        length=ice.length * draw("length", 0.3, 1) ** 1.5,
        tone=draw("tone", 0.35, 1),
    )


def _splat(sheet: F32, y: F64, x: F64, height: F64) -> None:
    """Raise the sheet at points to at least their height, round the edges."""
    np.maximum.at(sheet, (np.rint(y).astype(int) % SIDE, np.rint(x).astype(int) % SIDE), height.astype(np.float32))


def _raise_spines(sheet: F32, crystals: _Crystals, points: int) -> None:
    along = np.linspace(0, 1, points)
    reach = along * crystals.length[:, None]
    y = crystals.y[:, None] + reach * np.sin(crystals.angle)[:, None]
    x = crystals.x[:, None] + reach * np.cos(crystals.angle)[:, None]
    _splat(sheet, y, x, crystals.tone[:, None] * (1 - 0.7 * along))


def _raise_barbs(sheet: F32, crystals: _Crystals, barbs: int, points: int, turn: float) -> None:
    """Side branches that leave the spines at an angle and get shorter towards the tip."""
    at = np.linspace(0.05, 0.9, barbs)
    root = at * crystals.length[:, None]
    y = crystals.y[:, None] + root * np.sin(crystals.angle)[:, None]
    x = crystals.x[:, None] + root * np.cos(crystals.angle)[:, None]
    out = (0.4 * crystals.length[:, None] * (1 - at))[..., None] * np.linspace(0, 1, points)
    angle = (crystals.angle + turn)[:, None, None]
    height = 0.8 * crystals.tone[:, None, None] * (1 - at)[:, None] * np.linspace(1, 0.3, points)
    _splat(sheet, y[..., None] + out * np.sin(angle), x[..., None] + out * np.cos(angle), height)


def _relief(key: U64, ice: _Ice) -> F32:
    """Height of the crystals: spines that taper, with barbs on both sides that taper in turn."""
    sheet = np.zeros((SIDE, SIDE), np.float32)
    crystals = _grow(key, ice)
    _raise_spines(sheet, crystals, points=int(1.5 * ice.length))
    if ice.barbs:
        for turn in (-np.pi / 3, np.pi / 3):
            _raise_barbs(sheet, crystals, ice.barbs, points=int(0.6 * ice.length), turn=turn)
    return sheet


def _standard(values: F32) -> F32:
    standardised: F32 = (values - values.mean()) / values.std()
    return standardised


def _smooth_noise(key: U64, stream: str, sigma: float) -> F32:
    """Standardised noise of one scale that joins up at the edges."""
    grains = uniform(key, stream, SIDE * SIDE).reshape(SIDE, SIDE) - np.float32(0.5)
    return _standard(ndimage.gaussian_filter(grains, sigma, mode="wrap"))


def _wrinkles(key: U64) -> F32:
    """Creases: where noise of two scales changes sign, it folds into a ridge."""
    coarse, fine = (-np.abs(_smooth_noise(key, f"wrinkle/{sigma}", sigma)) for sigma in (7, 2))
    return _standard(coarse + np.float32(0.5) * fine)


@lru_cache(maxsize=SHEETS)
def ice_sheet(number: int) -> U8:
    """Sheet ``number`` of ``SHEETS``, uint8 [SIDE, SIDE, 3]; always the same, made on first use.

    Conventions:
        Tone is a mix of slow clouds, the height of the crystals and the light that
        falls on their flanks, brought to the mean and spread of each channel.
    """
    ice, key = _SHEETS[number], keys("ice", number, np.zeros(1, np.int64))
    relief = _standard(_relief(key, ice)) + np.float32(ice.wrinkles) * _wrinkles(key)
    flanks = relief - np.roll(relief, (1, 1), axis=(0, 1))
    crystals = _standard(ndimage.gaussian_filter(_standard(relief) + _standard(flanks), 0.5, mode="wrap"))
    cloud = _smooth_noise(key, "cloud", 40)
    tone = _standard(np.float32(ice.cloud) * cloud + np.float32(1 - ice.cloud) * crystals)
    levels = np.asarray(ice.mean) + tone[..., None] * np.asarray(ice.spread)
    sheet: U8 = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    sheet.flags.writeable = False
    return sheet
