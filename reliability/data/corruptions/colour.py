"""Brightness and saturation of HSV in closed form: with the hue kept, no conversion is needed."""

from __future__ import annotations

import numpy as np

from reliability.types import F32, U8

WHITE = np.float32(255)
_GREY = (np.float32(0.299), np.float32(0.587), np.float32(0.114))


def luminance(images: U8) -> F32:
    """Grey levels 0..255 of pictures [N, H, W, 3], as float32 [N, H, W]."""
    red, green, blue = (images[..., channel] * weight for channel, weight in enumerate(_GREY))
    grey: F32 = red + green + blue
    return grey


def _brightest(images: U8) -> U8:
    """Largest channel of each pixel; faster than a maximum along an axis of three."""
    return np.maximum(np.maximum(images[..., 0], images[..., 1]), images[..., 2])


def _darkest(images: U8) -> U8:
    return np.minimum(np.minimum(images[..., 0], images[..., 1]), images[..., 2])


def raise_value(images: U8, rise: float) -> F32:
    """Add ``rise`` (on a [0, 1] scale) to V of pictures [N, H, W, 3]; levels 0..255.

    Conventions:
        Hue and saturation stay where all channels are scaled alike. Black has
        neither, and becomes grey.
    """
    value = np.arange(256, dtype=np.float32)
    raised = np.minimum(value + np.float32(rise) * WHITE, WHITE)
    brightest = _brightest(images)
    gain = np.take(raised / np.maximum(value, 1), brightest)
    lit: F32 = images * gain[..., None]
    lit[brightest == 0] = raised[0]
    return lit


def change_saturation(images: U8, gain: float, rise: float) -> F32:
    """S of HSV times ``gain`` plus ``rise``, clipped to [0, 1], for pictures [N, H, W, 3]; levels 0..255.

    Conventions:
        Grey has hue 0, so a positive ``rise`` tints it red, as in the published code.
    """
    value, span = (each.astype(np.float32) for each in (_brightest(images), _brightest(images) - _darkest(images)))
    saturation = np.clip(np.float32(gain) * span / np.maximum(value, 1) + np.float32(rise), 0, 1)
    grey = span == 0
    stretch = np.where(grey, 0, saturation * value / np.where(grey, 1, span))
    changed = value[..., None] - (value[..., None] - images) * stretch[..., None]
    changed[grey, 1:] = (value * (1 - saturation))[grey][:, None]
    return changed
