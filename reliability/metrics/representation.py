"""How far the candidate's features are the reference's: image by image, and direction by direction."""

from __future__ import annotations

import math

import numpy as np
import scipy

from reliability.metrics.checks import undefined
from reliability.metrics.features import (
    Moments,
    by_octave,
    exponent,
    octaves,
    principal_directions,
    require_variation,
    unit_rows,
)
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register, register_plain
from reliability.types import F64


@register("paired_features", direction="higher", low=0.0, high=1.0, unit="fraction", defined="both features vary")
def cka(reference: F64, candidate: F64) -> Moments:
    """Linear centred kernel alignment: whether both models find the same images alike.

    Args:
        reference_features, candidate_features: [N, D] and [N, E] on the same images; D and E may differ.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or features that are the same for every image.

    Conventions:
        ``|X.T @ Y|**2 / (|X.T @ X| * |Y.T @ Y|)`` with Frobenius norms of centred features.
        Rotating or scaling either model's features changes nothing; stretching one direction
        does. The plug-in estimate: where N is not far above D and E, unrelated features score
        well above 0, so compare at one N. A resample costs one matrix product of width D + E.

    Source:
        Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019. No departure.

    >>> round(cka([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], [[0.0, 9.0], [-18.0, 0.0], [-9.0, 9.0]]), 12)
    1.0
    """
    require_variation("cka", "reference_features", reference)
    require_variation("cka", "candidate_features", candidate)
    width = reference.shape[1]

    def finish(products: F64) -> float:
        norms = np.linalg.norm(products[:width, :width]) * np.linalg.norm(products[width:, width:])
        return min(1.0, float((products[:width, width:] ** 2).sum() / norms))

    return Moments((reference, candidate), finish, centred=True)


@register(
    "paired_features", direction="higher", low=-1.0, high=1.0, unit="cosine",
    defined="both have the same dimensions, and no image's feature is all zero",
)  # fmt: skip
def embedding_cosine(reference: F64, candidate: F64) -> PerImage:
    """Mean cosine between the two models' features of the same image.

    Args:
        reference_features, candidate_features: [N, D] of the two models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, different dimensions, or a feature
            that is all zero.

    Conventions:
        Not centred. Blind to lengths: a candidate whose features are all twice as long
        scores 1, so a wrong scale does not show here.

    >>> embedding_cosine([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [5.0, 0.0]])
    0.5
    """
    _require_one_space("embedding_cosine", reference, candidate)
    first = unit_rows("embedding_cosine", "reference_features", reference)
    second = unit_rows("embedding_cosine", "candidate_features", candidate)
    return mean_of(np.clip(np.einsum("nd,nd->n", first, second), -1.0, 1.0))


@register_plain(
    "paired_features", direction="higher", low=0.0, high=1.0, unit="fraction",
    defined="both have the same dimensions, at least two",
)  # fmt: skip
def subspace_overlap(reference: F64, candidate: F64) -> F64:
    """Whether the strongest 1, 2, 4, 8, ... directions of both models span the same subspace.

    Args:
        reference_features, candidate_features: [N, D] of the two models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, different dimensions, or one dimension.

    Conventions:
        For r = 1, 2, 4, ... below both D and the reference's rank, or r = 1 alone where that
        rank is 1: the mean squared cosine of the r principal angles between the spans of the
        first r right singular vectors, directions of feature space, not of images. Not
        centred. Unrelated subspaces overlap by about r / D. Directions that the candidate has
        lost overlap with nothing. Where the singular values r and r + 1 are equal the
        subspace, and so the overlap, is arbitrary. Not resampled.

    Source:
        Björck & Golub, Numerical methods for computing angles between linear subspaces, 1973.
        Departure: angles are summed up by their mean squared cosine.

    >>> subspace_overlap([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]).round(12)
    array([0.])
    """
    _require_one_space("subspace_overlap", reference, candidate)
    if reference.shape[1] == 1:
        raise undefined(
            "subspace_overlap", "reference_features", "there is one direction only", f"shape {reference.shape}",
            "pass features with at least two dimensions",
        )  # fmt: skip
    first, second = principal_directions(reference)[1], principal_directions(candidate)[1]
    shared = (first @ second.T) ** 2
    return np.array([shared[:r, :r].sum() / r for r in octaves(len(first)) or [1]])


@register_plain(
    "paired_features", direction="lower", low=0.0, high=math.inf, unit="ratio", defined="both have the same dimensions"
)
def noise_to_signal_by_rank(reference: F64, candidate: F64) -> F64:
    """Energy that quantization adds over what was there, in each octave of the reference's directions.

    Args:
        reference_features, candidate_features: [N, D] of the two models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or different dimensions.

    Conventions:
        Sums of noise over sums of signal (see :func:`noise_by_direction`) in the octaves of
        rank 1, 2, 3-4, 5-8, 9-16, ... up to the reference's rank. The signal-to-noise ratio in
        decibels is ``-10 * log10`` of it; the ratio this way round is finite, and 0, for equal
        models. Not resampled.

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173. Departures: octaves instead of
        single directions, noise over signal, no logarithm.

    >>> noise_to_signal_by_rank([[4.0, 0.0], [0.0, 2.0]], [[4.0, 0.0], [0.0, 1.0]])
    array([0.  , 0.25])
    """
    _require_one_space("noise_to_signal_by_rank", reference, candidate)
    signal, noise = noise_by_direction(reference, candidate)
    # A signal that vanishes beside the noise leaves a ratio that is refused for not being finite.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return by_octave(noise) / by_octave(signal)


def noise_by_direction(reference: F64, candidate: F64) -> tuple[F64, F64]:
    """Energy of the reference, and of the candidate's difference from it, along the reference's directions.

    Args:
        reference, candidate: [N, D] float64 features of the two models on the same images.

    Returns:
        Signal [R] and noise [R] in a common unit, by falling signal.

    Conventions:
        Directions are the right singular vectors of the reference, not centred, up to its
        numerical rank R; noise outside their span has no direction and is left out.

    >>> signal, noise = noise_by_direction(np.array([[0.0, 2.0]]), np.array([[7.0, 3.0]]))
    >>> noise / signal
    array([0.25])
    """
    shared = exponent(reference, candidate) + 1  # One more, so that no difference overflows.
    scaled = np.ldexp(reference, -shared)
    directions = principal_directions(reference)[1].T
    signal = ((scaled @ directions) ** 2).sum(axis=0)
    return signal, (((np.ldexp(candidate, -shared) - scaled) @ directions) ** 2).sum(axis=0)


@register(
    "paired_features", direction="neither", low=-1.0, high=1.0, unit="correlation", depends_on_size=True,
    defined="the reference's features span two directions or more",
)  # fmt: skip
def noise_rank_correlation(reference: F64, candidate: F64) -> PerImage:
    """Whether quantization noise weighs more the weaker a direction: rank correlation of rank and noise to signal.

    Args:
        reference_features, candidate_features: [N, D] of both models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, features that are all
            zero, or a reference of one direction.

    Conventions:
        The difference of the features is projected on the reference's directions; noise to
        signal is the energy of the difference over that of the reference, rank by rank. Its
        Spearman correlation with rank is 1 where the ratio grows from each rank to the next,
        so that signal to noise falls. 0 where there is no noise at all: FP32 beside itself.
        Directions whose signal is rounding alone are left out; a resample keeps the directions.

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173, on signal to quantization noise
        by rank. Departure: one number of what the study draws as a curve.

    >>> noise_rank_correlation(np.diag([4.0, 2.0, 1.0]), np.diag([4.0, 2.0, 1.0]) + 0.1)
    1.0
    """
    _require_one_space("noise_rank_correlation", reference, candidate)
    directions = principal_directions(reference)[1]
    if len(directions) < 2:
        raise undefined(
            "noise_rank_correlation",
            "reference_features",
            "one direction has no order",
            "rank 1",
            "give it more images",
        )
    scale = -exponent(reference, candidate) - 1  # One more, so that no difference overflows.
    signal = np.ldexp(reference, scale) @ directions.T
    noise = np.ldexp(candidate, scale) @ directions.T - signal
    return PerImage(np.hstack([signal**2, noise**2]), _correlation_with_rank)


def _correlation_with_rank(means: F64) -> F64:
    """[B] of mean signal and noise energies side by side, [B, 2 R]."""
    signal, noise = np.hsplit(means, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks = scipy.stats.rankdata(noise / signal, axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        order = np.arange(means.shape[1] // 2) - (means.shape[1] // 2 - 1) / 2
        found: F64 = ranks @ order / np.sqrt((ranks**2).sum(axis=1) * (order**2).sum())
    return np.where((noise == 0.0).all(axis=1), 0.0, found)


def _require_one_space(metric: str, reference: F64, candidate: F64) -> None:
    if reference.shape[1] != candidate.shape[1]:
        raise undefined(
            metric, "candidate_features", "both models' features must share one space",
            f"{reference.shape[1]} and {candidate.shape[1]} dimensions", "compare such models by cka",
        )  # fmt: skip
