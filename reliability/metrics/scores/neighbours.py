"""Scores from the familiar images that are nearest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reliability.metrics.checks import undefined
from reliability.metrics.scores.logits import log_sum_exp
from reliability.metrics.scores.registry import Scorer, fitted_score
from reliability.types import F64

KNN_NEIGHBOURS = 50
NNGUIDE_NEIGHBOURS = 10

# Similarities of images and training images held at once: 64 MiB of float64.
_BLOCK_VALUES = 2**23


@fitted_score("features")
def knn(features: F64) -> Scorer:
    """Minus the distance to the 50th nearest training image.

    Args:
        training: Its features are used, not its labels.

    Returns:
        A function of cosines and the logit scale (not used) and features [N, D] to scores [N].

    Raises:
        UsageError: No features.
        UndefinedMetricError: Empty, non-finite or mismatched input, or fewer than 50 training images.

    Conventions:
        Euclidean distance of features of norm 1, so scores lie in [-2, 0]. An image that is
        itself in the training set counts as its own first neighbour. Where a class has fewer
        than 50 training images the neighbour is one of another class, and the score tells little.
        Images are compared in blocks, so similarities never take more than 64 MiB.

    Source:
        Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022, with
        its k for CIFAR-10 (200 for CIFAR-100, 1000 for ImageNet with all training images).
        No departure.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[1, 0]] * 50, labels=[0] * 50, cosines=[[1, 0]] * 50, logit_scale=2.0)
    >>> knn(training)([[0, 1]], 2.0, features=[[0, 3]]).round(4).tolist()
    [-1.4142]
    """
    bank = _require_enough("knn", features, KNN_NEIGHBOURS)

    def scores(features: F64) -> F64:
        distance = np.empty(len(features))
        for rows, similarity in _similarities(features, bank):
            kth = np.argpartition(similarity, -KNN_NEIGHBOURS, axis=1)[:, -KNN_NEIGHBOURS]
            # From the difference: the square root of 2 - 2 cos loses half its digits near 0.
            distance[rows] = np.linalg.norm(features[rows] - bank[kth], axis=1)
        return -distance

    return scores


@fitted_score("cosines", "logit_scale", "features")
def nnguide(features: F64, cosines: F64, logit_scale: float) -> Scorer:
    """Energy, guided by the mean energy-weighted similarity to the 10 nearest training images.

    The product of the image's energy (log-sum-exp of its logits) and the mean of the 10 largest
    products of a training image's energy and its cosine with the image.

    Args:
        training: Its features, cosines and logit scale are used, not its labels.

    Returns:
        A function of cosines [N, C], the logit scale and features [N, D] to scores [N].

    Raises:
        UsageError: No features, or used at another logit scale than it was fitted at.
        UndefinedMetricError: Empty, non-finite or mismatched input, or fewer than 10 training images.

    Conventions:
        Meant for positive energies, which cosines above 0 give at any usual scale; a negative
        one turns the sense of the guidance. Images are compared in blocks, as in ``knn``.

    Source:
        Park et al., Nearest Neighbor Guidance for Out-of-Distribution Detection, ICCV 2023.
        Departures: the guiding bank is the whole training set, where the paper samples some of
        ImageNet; the logits are the zero-shot head's.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[1, 0]] * 10, labels=[0] * 10, cosines=[[1, 0]] * 10, logit_scale=2.0)
    >>> nnguide(training)([[0.6, 0.8]], 2.0, features=[[3, 4]]).round(4).tolist()
    [2.6965]
    """
    bank = _require_enough("nnguide", features, NNGUIDE_NEIGHBOURS) * log_sum_exp(logit_scale * cosines)[:, None]

    def scores(cosines: F64, logit_scale: float, features: F64) -> F64:
        guidance = np.empty(len(features))
        for rows, similarity in _similarities(features, bank):
            nearest = np.partition(similarity, -NNGUIDE_NEIGHBOURS, axis=1)[:, -NNGUIDE_NEIGHBOURS:]
            guidance[rows] = nearest.mean(axis=1)
        return guidance * log_sum_exp(logit_scale * cosines)

    return scores


def _similarities(features: F64, bank: F64) -> Iterator[tuple[slice, F64]]:
    """Inner products of blocks of images with all T training images: rows, and [rows, T]."""
    step = max(1, _BLOCK_VALUES // len(bank))
    for start in range(0, len(features), step):
        rows = slice(start, min(start + step, len(features)))
        yield rows, features[rows] @ bank.T


def _require_enough(name: str, features: F64, neighbours: int) -> F64:
    if len(features) < neighbours:
        raise undefined(
            name, "training.features", f"at least {neighbours} training images are needed",
            f"{len(features)} images", "fit it on more images",
        )  # fmt: skip
    return features
