"""At which spatial frequencies feature maps hold their energy: quantization may act as a low-pass filter."""

from __future__ import annotations

import numpy as np

from reliability.metrics.features import exponent
from reliability.metrics.prepared import PerImage
from reliability.metrics.registry import register, register_plain
from reliability.types import F64, I64

# Upper ends of the bands but the last, in units of the Nyquist frequency.
_ENDS = (0.0, 0.25, 0.5, 0.75)
# Images that are transformed at once hold 2**17 values, some MiB with the complex spectrum.
_BLOCK_VALUES = 2**17


@register_plain("maps", direction="neither", low=0.0, high=1.0, unit="fraction")
def fourier_energy(maps: F64) -> F64:
    """Share of feature maps' energy in five bands of spatial frequency, lowest first.

    Args:
        maps: [N, H, W, D], or [N, H, W] of a single channel.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or maps that are all zero.

    Conventions:
        An array of five shares that sum to 1: the mean of each map (frequency zero), then
        radii up to 1/4, 1/2 and 3/4 and beyond 3/4 of the Nyquist frequency, upper ends
        included. The radius is ``2 * hypot(f_y, f_x)`` with frequencies in cycles per pixel, so
        the last band reaches into the corners, to a radius of sqrt(2). Energy is the squared
        magnitude of the 2-D discrete Fourier transform without a window, summed over images
        and channels, so strong channels count for more. Small maps leave bands empty. Not
        resampled; :func:`high_frequency_energy` is.

    Source:
        Park & Kim, How Do Vision Transformers Work?, ICLR 2022. Departures: all radial
        frequencies instead of the diagonal, energies instead of log-amplitudes.

    >>> fourier_energy([[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]])
    array([0.5, 0. , 0. , 0. , 0.5])
    """
    energy = _energy(maps).sum(axis=0)
    shares: F64 = energy / energy.sum()
    return shares


@register("maps", direction="neither", low=0.0, high=1.0, unit="fraction")
def high_frequency_energy(maps: F64) -> PerImage:
    """Share of feature maps' energy above half the Nyquist frequency.

    Args:
        maps: [N, H, W, D], or [N, H, W] of a single channel.

    Raises:
        UndefinedMetricError: As :func:`fourier_energy`.

    Conventions:
        The last two bands of :func:`fourier_energy`: a ratio of sums over images.

    Source:
        As :func:`fourier_energy`.

    >>> high_frequency_energy([[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]])
    0.5
    """
    return high_frequency_share(_energy(maps))


def energy_by_band(maps: F64) -> F64:
    """Energy of each image in the bands of :func:`fourier_energy`, [N, 5], in the maps' own unit squared.

    Args:
        maps: [N, H, W, D] finite float64.

    Conventions:
        An image's row does not depend on the others, so maps can be read batch by batch.
    """
    energy: F64 = np.ldexp(_energy(maps), 2 * exponent(maps))
    return energy


def high_frequency_share(energy: F64) -> PerImage:
    """:func:`high_frequency_energy` of maps of which only the energies [N, 5] are left."""

    def finish(means: F64) -> F64:
        with np.errstate(invalid="ignore"):  # a resample that draws only maps of zeros
            share: F64 = means[:, 3:].sum(axis=1) / means.sum(axis=1)
        return share

    return PerImage(energy, finish)


def _energy(maps: F64) -> F64:
    """Energy of each image in each band, [N, 5]."""
    channels = maps if maps.ndim == 4 else maps[..., None]
    scale, bands = exponent(maps), _bands(*channels.shape[1:3])
    step = max(1, _BLOCK_VALUES // channels[0].size)
    energies = []
    for start in range(0, len(channels), step):
        spectrum = np.fft.fft2(np.ldexp(channels[start : start + step], -scale), axes=(1, 2))
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=3).reshape(len(spectrum), -1)
        energies.append(power @ (bands[:, None] == np.arange(len(_ENDS) + 1)))
    return np.concatenate(energies)


def _bands(height: int, width: int) -> I64:
    """Band of each frequency, [H * W]."""
    radius = 2.0 * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    # Rounded, so that a frequency on the end of a band stays in it.
    bands: I64 = np.searchsorted(_ENDS, radius.round(12).ravel())
    return bands
