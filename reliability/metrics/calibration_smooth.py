"""Calibration error by a smooth kernel, whose width the data choose."""

from __future__ import annotations

import numpy as np
from scipy.fft import dct
from scipy.sparse import csr_array

from reliability.metrics.answers import Answers
from reliability.metrics.prepared import PerImage
from reliability.metrics.temperature import register_with_temperature
from reliability.types import F64

_STEPS = 2048
_PRECISION = 1e-14
# False position needs some ten steps; the limit only guards against rounding.
_MOST_STEPS = 100

# Nodes at both ends stand for half a cell. The transform counts the others twice.
_CELLS = np.full(_STEPS + 1, 1.0 / _STEPS)
_CELLS[[0, -1]] /= 2.0
_TRANSFORM = np.full(_STEPS + 1, 0.5)
_TRANSFORM[[0, -1]] = 1.0


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ece_smooth(answers: Answers) -> PerImage:
    """Smooth expected calibration error of the top label: gaps averaged by a Gaussian as wide as the error itself.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        The gaps of all images (confidence less right answers), each spread by a Gaussian of
        standard deviation s reflected at 0 and 1, are summed at every confidence; the integral of
        the absolute sum, per image, falls as s grows, and the value is where it equals s. Found
        to 1e-14, on a grid of 2,048 steps: a confidence between two nodes is split over both,
        which acts like a kernel wider by at most 0.0002 and matters only to values near that.

    Source:
        Blasiok & Nakkiran, Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing,
        ICLR 2024. No departure but the grid, which the authors' code has too (1,000 steps).

    >>> round(ece_smooth([[0.0, 0.0]] * 4, [0, 0, 0, 1]), 12)
    0.25
    """
    position = answers.confidence * _STEPS
    left = np.minimum(position.astype(np.int64), _STEPS - 1)
    gaps, share = answers.confidence - answers.correct, position - left
    rows = np.arange(len(answers))
    on_nodes = csr_array(
        (
            np.concatenate([gaps * (1.0 - share), gaps * share]),
            (np.concatenate([rows, rows]), np.concatenate([left, left + 1])),
        ),
        shape=(len(answers), _STEPS + 1),
    )
    return PerImage(on_nodes, _fixed_point)


def _fixed_point(gaps: F64) -> F64:
    """The width [B] at which smoothing gaps [B, nodes] leaves an error of just that width.

    False position with the Pegasus rule: the root stays between ``width`` and ``other``.
    """
    modes = dct(gaps * _TRANSFORM, type=1, axis=1)
    # No width leaves less than the sum of all gaps, and none leaves more than 1.
    width: F64 = np.abs(modes[:, 0])
    other = np.ones_like(width)
    error, other_error = _smoothed(modes, width) - width, _smoothed(modes, other) - other
    for _ in range(_MOST_STEPS):
        unsolved = np.abs(error) > _PRECISION
        if not unsolved.any():
            break
        step = np.divide(error * (other - width), error - other_error, out=np.zeros_like(width), where=unsolved)
        found = width + step
        found_error = _smoothed(modes, found) - found
        crossed = found_error * error < 0.0
        shrink = np.divide(error, error + found_error, out=np.ones_like(width), where=unsolved)
        other, other_error = np.where(crossed, width, other), np.where(crossed, error, other_error * shrink)
        width, error = found, found_error
    return width


def _smoothed(modes: F64, width: F64) -> F64:
    """Integral [B] of the absolute sum of gaps, each spread by a kernel of its row's width [B]."""
    # Cosines are the modes of a Gaussian reflected at both ends: it damps each by a factor.
    damped = modes * np.exp(-0.5 * (np.pi * np.arange(_STEPS + 1) * width[:, None]) ** 2)
    total: F64 = np.abs(dct(damped, type=1, axis=1)) @ _CELLS
    return total
