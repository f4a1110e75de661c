"""Over how many directions features spread: quantization may dampen those of high rank."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import entr

from reliability.metrics.features import Moments, by_octave, exponent, require_variation
from reliability.metrics.registry import register, register_plain
from reliability.types import F64


@register("features", direction="neither", low=1.0, high=math.inf, unit="dimensions")
def effective_rank(features: F64) -> Moments:
    """Number of directions that features spread over: exp of the entropy of their energy.

    Args:
        features: [N, D] of N images.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or features that are all zero.

    Conventions:
        Energy is the share ``s**2 / sum(s**2)`` of each squared singular value of the
        features as they are, not centred: a mean that all images share counts as one
        direction and, where it is large, hides the others (see
        :func:`effective_rank_centred`). Between 1 and min(N, D); no change of units or
        rotation of the features alters it. A resample costs one matrix product and one
        symmetric eigenvalue problem of size D.

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173. Departure from the effective rank
        of Roy & Vetterli, EUSIPCO 2007, which is the entropy of ``s / sum(s)`` and larger.

    >>> round(effective_rank([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), 12)
    2.0
    """
    return Moments((features,), _entropy_rank)


@register(
    "features", direction="neither", low=1.0, high=math.inf, unit="dimensions", defined="the features vary over images"
)
def effective_rank_centred(features: F64) -> Moments:
    """Effective rank of what distinguishes images: of the features less their mean.

    Args:
        features: [N, D] of N images.

    Raises:
        UndefinedMetricError: As :func:`effective_rank`, or features that are the same for every image.

    Conventions:
        As :func:`effective_rank` with the eigenvalues of the covariance. CLIP features share
        a large mean, so this one sees changes that the other hides. Under image weights the
        mean is that of the resample.

    Source:
        As :func:`effective_rank`. Departure: centred.

    >>> round(effective_rank_centred([[9.0, 1.0], [9.0, -1.0]]), 12)
    1.0
    """
    require_variation("effective_rank_centred", "features", features)
    return Moments((features,), _entropy_rank, centred=True)


@register("features", direction="neither", low=1.0, high=math.inf, unit="dimensions")
def stable_rank(features: F64) -> Moments:
    """Energy of all directions over that of the strongest: a rank that noise hardly moves.

    Args:
        features: [N, D] of N images.

    Raises:
        UndefinedMetricError: As :func:`effective_rank`.

    Conventions:
        ``sum(s**2) / max(s**2)``, the squared Frobenius norm over the squared spectral norm,
        not centred. Between 1 and the rank. Costs as :func:`effective_rank`.

    Source:
        Rudelson & Vershynin, Sampling from large matrices, Journal of the ACM 54(4), 2007
        (there "numerical rank"). No departure.

    >>> round(stable_rank([[2.0, 0.0], [0.0, 1.0]]), 12)
    1.25
    """
    return Moments((features,), lambda products: float(np.trace(products) / np.linalg.eigvalsh(products)[-1]))


@register(
    "features", direction="neither", low=1.0, high=math.inf, unit="dimensions", defined="the features vary over images"
)
def participation_ratio(features: F64) -> Moments:
    """Number of directions that share the variance of features.

    Args:
        features: [N, D] of N images.

    Raises:
        UndefinedMetricError: As :func:`effective_rank_centred`.

    Conventions:
        ``sum(v)**2 / sum(v**2)`` over the eigenvalues v of the covariance: centred, as its
        source has it. The plug-in estimate, which is too low where N is not far above it.
        Needs no eigenvalues, so a resample costs one matrix product.

    Source:
        Gao et al., A theory of multineuronal dimensionality, dynamics and measurement,
        bioRxiv 214262, 2017. No departure.

    >>> round(participation_ratio([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]]), 12)
    2.0
    """
    require_variation("participation_ratio", "features", features)
    return Moments((features,), lambda products: float(np.trace(products) ** 2 / (products**2).sum()), centred=True)


@register_plain("features", direction="neither", low=0.0, high=1.0, unit="fraction")
def spectrum_energy(features: F64) -> F64:
    """Share of the features' energy in each octave of rank: 1, 2, 3-4, 5-8, 9-16, ...

    Args:
        features: [N, D] of N images.

    Raises:
        UndefinedMetricError: As :func:`effective_rank`.

    Conventions:
        Energies are squared singular values in falling order, not centred. An array that sums
        to 1, whose length depends on D alone: the last octave ends at rank D, and ranks
        beyond N hold nothing. The bands that the study speaks of, ranks up to 8 and beyond
        64, are sums of octaves. Not resampled.

    Source:
        Bands after Less Precise Can Be More Reliable, arXiv 2509.21173. Departure: octaves.

    >>> spectrum_energy([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).round(12)
    array([0.8, 0.2, 0. ])
    """
    triangle = np.linalg.qr(np.ldexp(features, -exponent(features)), mode="r")
    energy = np.zeros(features.shape[1])
    energy[: len(triangle)] = np.linalg.svd(triangle, compute_uv=False) ** 2
    return by_octave(energy / energy.sum())


def _entropy_rank(products: F64) -> float:
    energy: Any = np.maximum(np.linalg.eigvalsh(products), 0.0)
    return math.exp(entr(energy / energy.sum()).sum())
