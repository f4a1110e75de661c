"""Scores from Gaussians around the class means of familiar images, all with one covariance."""

from __future__ import annotations

import numpy as np

from reliability.metrics.checks import undefined
from reliability.metrics.scores.registry import Scorer, fitted_score
from reliability.types import F64, I64

# Variances below this share of the largest are rounding, and their directions are left out.
RELATIVE_RANK_CUTOFF = 1e-10

# Features have norm 1, so a variance of this size comes of rounding alone.
_NO_SPREAD = 1e-28


@fitted_score("features")
def mahalanobis(features: F64, labels: I64) -> Scorer:
    """Minus the squared Mahalanobis distance to the nearest class mean.

    Args:
        training: Its features and labels are used.

    Returns:
        A function of cosines and the logit scale (not used) and features [N, D] to scores [N].

    Raises:
        UsageError: No features.
        UndefinedMetricError: Empty, non-finite or mismatched input; labels outside 0..C-1; or no
            class with two different training images.

    Conventions:
        One covariance for all classes, of the features about their class means, divided by the
        number of training images. It is inverted on the directions whose variance exceeds 1e-10
        of the largest (a pseudo-inverse): with fewer training images than dimensions, what lies
        outside their span does not count, and distances of images that were not fitted on are
        inflated. Use several images per dimension. A class without training images has no mean
        and is left out.

    Source:
        Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and
        Adversarial Attacks, NeurIPS 2018, without its input perturbation and layer ensemble.
        Departure: features of norm 1, as in Mueller & Hein, Mahalanobis++, ICML 2025.

    >>> from reliability.metrics.scores import Training
    >>> cosines = [[1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8]]
    >>> training = Training([[1, 0], [4, 3], [0, 1], [-3, 4]], labels=[0, 0, 1, 1], cosines=cosines, logit_scale=2.0)
    >>> mahalanobis(training)([[0.6, 0.8], [0, 0]], 2.0, features=[[3, 4], [0, -1]]).round(4).tolist()
    [-6.8, -50.0]
    """
    centre = features.mean(axis=0)
    means, axes = _class_gaussians("mahalanobis", features - centre, labels)

    def scores(features: F64) -> F64:
        return -_nearest((features - centre) @ axes, means)

    return scores


@fitted_score("features")
def relative_mahalanobis(features: F64, labels: I64) -> Scorer:
    """Minus the squared Mahalanobis distance to the nearest class mean, less that to all images' mean.

    Args:
        training: Its features and labels are used.

    Returns:
        A function of cosines and the logit scale (not used) and features [N, D] to scores [N].

    Raises:
        UsageError, UndefinedMetricError: As ``mahalanobis``.

    Conventions:
        The second distance is under one Gaussian fitted to all training images. Otherwise as
        ``mahalanobis``. With a single class of training images every score is 0.

    Source:
        Ren et al., A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, 2021.
        Departure: features of norm 1.

    >>> from reliability.metrics.scores import Training
    >>> cosines = [[1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8]]
    >>> training = Training([[1, 0], [4, 3], [0, 1], [-3, 4]], labels=[0, 0, 1, 1], cosines=cosines, logit_scale=2.0)
    >>> relative_mahalanobis(training)([[0.6, 0.8]], 2.0, features=[[3, 4]]).round(4).tolist()
    [-4.776]
    """
    centre = features.mean(axis=0)
    means, axes = _class_gaussians("relative_mahalanobis", features - centre, labels)
    background = _whitening("relative_mahalanobis", features - centre)

    def scores(features: F64) -> F64:
        apart = features - centre
        from_all: F64 = np.square(apart @ background).sum(axis=1)
        return from_all - _nearest(apart @ axes, means)

    return scores


def _class_gaussians(name: str, features: F64, labels: I64) -> tuple[F64, F64]:
    """Whitened class means [K, R], and the axes [D, R] that whiten."""
    classes, members = np.unique(labels, return_inverse=True)
    means = np.stack([features[members == k].mean(axis=0) for k in range(len(classes))])
    axes = _whitening(name, features - means[members])
    return means @ axes, axes


def _whitening(name: str, deviations: F64) -> F64:
    """Axes [D, R] along which deviations [T, D] have mean square 1 and no correlation."""
    variances, directions = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    if variances[-1] <= _NO_SPREAD:
        raise undefined(
            name, "training.features", "training images of one class do not differ", f"{len(deviations)} images",
            "fit it on at least two different images of some class, better on several per dimension",
        )  # fmt: skip
    kept = variances > RELATIVE_RANK_CUTOFF * variances[-1]
    axes: F64 = directions[:, kept] / np.sqrt(variances[kept])
    return axes


def _nearest(points: F64, centres: F64) -> F64:
    """[N] squared distance of each point [N, R] to the nearest of the centres [K, R]."""
    # The expanded square finds the nearest, the difference then gives its distance without cancellation.
    nearest = (np.square(centres).sum(axis=1) - 2.0 * points @ centres.T).argmin(axis=1)
    distance: F64 = np.square(points - centres[nearest]).sum(axis=1)
    return distance
