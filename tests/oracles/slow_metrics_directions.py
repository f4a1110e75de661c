"""Metrics of directions once more: eigenvectors of the Gram matrix, and one image at a time."""

from __future__ import annotations

import numpy as np


def _directions(features):
    """Eigenvectors of X'X as rows, strongest first, without those of rounding alone."""
    energies, vectors = np.linalg.eigh(np.asarray(features, dtype=float).T @ features)
    held = energies > 1e-20 * energies.max()
    return vectors.T[held][::-1]


def _accuracy(features, labels, text, directions):
    right = 0
    for feature, label in zip(features, labels, strict=True):
        left = sum(float(feature @ v) * v for v in directions)
        cosines = [float(left @ t) / float(np.sqrt((left @ left) * (t @ t))) for t in np.asarray(text, dtype=float)]
        right += cosines.index(max(cosines)) == label
    return right / len(labels)


def top1_first_8_directions(features, labels, text):
    return _accuracy(features, labels, text, _directions(features)[:8])


def top1_beyond_64_directions(features, labels, text):
    return _accuracy(features, labels, text, _directions(features)[64:])


def noise_rank_correlation(reference_features, candidate_features):
    ratios = []
    for v in _directions(reference_features):
        signal = noise = 0.0
        for x, y in zip(reference_features, candidate_features, strict=True):
            signal += float(x @ v) ** 2
            noise += float((y - x) @ v) ** 2
        ratios.append(noise / signal)
    order = sorted(range(len(ratios)), key=ratios.__getitem__)
    squares = sum((order.index(rank) - rank) ** 2 for rank in range(len(ratios)))
    n = len(ratios)
    return 1 - 6 * squares / (n * (n * n - 1))
