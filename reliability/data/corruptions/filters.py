"""Smoothing of planes, the same bits whatever else is in the batch.

Planes are float32 [N, C, H, W]. SciPy's line filters accumulate each line by
itself, and transforms run picture by picture, so no picture meets another.

SciPy is imported where a filter runs, here and in the other files of this
package: opening a data set, which names every corruption, must stay quick.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from reliability.types import F32, I64, U8


def planes(images: U8) -> F32:
    """Pictures [N, H, W, 3] as float32 planes [N, 3, H, W], on their scale of 0..255."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)


def pictures(values: F32) -> F32:
    """Planes [N, C, H, W] as pictures [N, H, W, C]."""
    return values.transpose(0, 2, 3, 1)


def gaussian(values: F32, sigma: float) -> F32:
    """Gaussian smoothing of planes, cut off at four sigmas, with edge pixels repeated beyond the edge."""
    from scipy import ndimage

    smooth: F32 = ndimage.gaussian_filter(values, (0, 0, sigma, sigma), mode="nearest", truncate=4.0)
    return smooth


@lru_cache(maxsize=64)
def disk(radius: float, alias_sigma: float) -> F32:
    """Kernel of a lens out of focus: a disk whose rim is softened, zero rows and columns removed.

    Conventions:
        The softening mirrors the disk at the border of its array, as the published
        code does; a disk that touches the border so gains up to 1.3 % of weight, and
        pictures get that much brighter.
    """
    from scipy import ndimage

    reach = 8 if radius <= 8 else int(radius)
    half = 1 if radius <= 8 else 2
    at = np.arange(-reach, reach + 1)
    inside = (at[:, None] ** 2 + at[None, :] ** 2 <= radius**2).astype(np.float64)
    taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * alias_sigma**2))
    soft = inside / inside.sum()
    for axis in (0, 1):
        soft = ndimage.correlate1d(soft, taps / taps.sum(), axis=axis, mode="mirror")
    soft[soft < 1e-9] = 0
    used = int(np.abs(at[soft.any(axis=0)]).max())
    kernel: F32 = soft[reach - used : reach + used + 1, reach - used : reach + used + 1].astype(np.float32)
    return kernel


@lru_cache(maxsize=16)
def _disk_spectrum(radius: float, alias_sigma: float, rows: int, columns: int) -> Any:
    from scipy import fft

    return fft.rfft2(disk(radius, alias_sigma), (rows, columns))


def defocus(values: F32, radius: float, alias_sigma: float) -> F32:
    """Convolve planes with :func:`disk`, mirrored at the edges without repeating the edge pixel."""
    from scipy import fft

    reach = disk(radius, alias_sigma).shape[0] // 2
    height, width = values.shape[2:]
    padded = np.pad(values, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="reflect")
    size = tuple(fft.next_fast_len(side, real=True) for side in padded.shape[2:])
    spectrum = _disk_spectrum(radius, alias_sigma, *size)
    blurred = np.empty_like(values)
    for row, picture in enumerate(padded):
        whole = fft.irfft2(fft.rfft2(picture, size) * spectrum, size)
        blurred[row] = whole[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return blurred


@lru_cache(maxsize=32)
def _cosine_response(length: int, sigma: float, truncate: float) -> F32:
    """Gain of a Gaussian on each cosine of a line of that length, reflected at both ends."""
    reach = int(truncate * sigma + 0.5)
    at = np.arange(reach + 1)
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    weights[1:] *= 2
    waves = np.cos(np.pi / length * np.outer(np.arange(length), at))
    # Not a matrix product: its last bit may depend on the number of threads.
    gain: F32 = (waves * (weights / weights.sum())).sum(axis=1).astype(np.float32)
    return gain


def gaussian_reflected(values: F32, sigma: float, truncate: float) -> F32:
    """Gaussian smoothing of [N, C, H, W] with the picture reflected at its edges, for any sigma at one price.

    Conventions:
        A reflected line is a sum of cosines, each of which a symmetric kernel only
        scales, so the cosine transform does exactly what the sum over taps would.
    """
    from scipy import fft

    rows, columns = values.shape[2:]
    gain = _cosine_response(rows, sigma, truncate)[:, None] * _cosine_response(columns, sigma, truncate)
    return np.stack([fft.idctn(fft.dctn(each, axes=(1, 2)) * gain, axes=(1, 2)) for each in values])


def motion_weights(radius: float, sigma: float) -> F32:
    """[2 * radius + 1] weights along the path, summing to 1."""
    at = np.arange(2 * int(radius) + 1)
    weights = np.exp(-(at**2) / (2 * sigma**2))
    share: F32 = (weights / weights.sum()).astype(np.float32)
    return share


def motion_path(radius: float, degrees: F32) -> I64:
    """Offsets (down, right) of the taps, [N, 2 * radius + 1, 2], for a direction per picture."""
    at = np.arange(2 * int(radius) + 1)
    angle = np.deg2rad(degrees.astype(np.float64))[:, None]
    path = np.stack([at * np.sin(angle), at * np.cos(angle)], axis=-1)
    nearest: I64 = np.ceil(path - 0.5).astype(np.int64)
    return nearest


def motion_blur(values: F32, radius: float, sigma: float, degrees: F32) -> F32:
    """Blur planes [N, C, H, W], each picture along its own direction [N] in degrees.

    Source:
        ImageMagick's ``MotionBlurImage``, which the published code calls. The path
        has 2 * radius + 1 taps; tap i lies at the pixel nearest to i pixels along the
        direction, weighs exp(-i^2 / (2 sigma^2)), and edge pixels are repeated beyond
        the edge. No departure.
    """
    height, width = values.shape[2:]
    weights = motion_weights(radius, sigma)
    blurred = np.zeros_like(values)
    tap = np.empty_like(values[0])
    for picture, out, path in zip(values, blurred, motion_path(radius, degrees), strict=True):
        before, after = np.maximum(-path.min(axis=0), 0), np.maximum(path.max(axis=0), 0)
        padded = np.pad(picture, ((0, 0), (before[0], after[0]), (before[1], after[1])), mode="edge")
        for weight, (top, left) in zip(weights, path + before, strict=True):
            np.multiply(padded[:, top : top + height, left : left + width], weight, out=tap)
            out += tap
    return blurred
