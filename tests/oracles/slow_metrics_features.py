"""Metrics of features, retrieval and robustness a second time, from their definitions.

Slow on purpose, and without the library's code: singular values of the whole matrix
instead of mean products, kernels instead of covariances, a Fourier sum per
frequency, and every order of tied answers.
"""

from __future__ import annotations

import cmath
import math
from itertools import combinations, pairwise

import numpy as np


def _energies(features):
    return [s**2 for s in np.linalg.svd(np.asarray(features, dtype=float), compute_uv=False)]


def _entropy_rank(features):
    energies = _energies(features)
    shares = [e / sum(energies) for e in energies]
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


def _centred(features):
    return np.array([[x - sum(column) / len(column) for x in column] for column in np.asarray(features, float).T]).T


def effective_rank(features):
    return _entropy_rank(features)


def effective_rank_centred(features):
    return _entropy_rank(_centred(features))


def stable_rank(features):
    return sum(float(x) ** 2 for row in features for x in row) / max(_energies(features))


def participation_ratio(features):
    variances = _energies(_centred(features))
    return sum(variances) ** 2 / sum(v**2 for v in variances)


def _bands(ranks):
    """Zero-based ranks of each octave."""
    ends = [0, 1]
    while ends[-1] < ranks:
        ends.append(2 * ends[-1])
    return [[r for r in range(first, last) if r < ranks] for first, last in pairwise(ends)]


def spectrum_energy(features):
    energies = _energies(features)
    shares = [e / sum(energies) for e in energies] + [0.0] * (len(features[0]) - len(energies))
    return np.array([sum(shares[r] for r in band) for band in _bands(len(shares))])


def cka(reference_features, candidate_features):
    def kernel(features):
        centred = _centred(features)
        return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in centred] for x in centred]

    def alignment(first, second):
        return sum(a * b for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))

    x, y = kernel(reference_features), kernel(candidate_features)
    return alignment(x, y) / math.sqrt(alignment(x, x) * alignment(y, y))


def _cosine(x, y):
    return sum(float(a) * float(b) for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))


def embedding_cosine(reference_features, candidate_features):
    pairs = zip(reference_features, candidate_features, strict=True)
    return sum(_cosine(x, y) for x, y in pairs) / len(reference_features)


def _directions(features):
    """Right singular vectors of the held directions, strongest first."""
    _, values, vectors = np.linalg.svd(np.asarray(features, dtype=float), full_matrices=False)
    return [v for s, v in zip(values, vectors, strict=True) if s > 1e-10 * values[0]]


def subspace_overlap(reference_features, candidate_features):
    first, second = _directions(reference_features), _directions(candidate_features)
    overlaps, r = [], 1
    while r < len(first):
        basis, other = np.array(first[:r]), np.array(second[:r])
        # A direction's squared cosine to a subspace is the squared length of its projection.
        overlaps.append(sum(np.linalg.norm(other @ v) ** 2 for v in basis) / r)
        r *= 2
    return np.array(overlaps)


def noise_to_signal_by_rank(reference_features, candidate_features):
    directions = _directions(reference_features)
    signal, noise = [0.0] * len(directions), [0.0] * len(directions)
    for x, y in zip(reference_features, candidate_features, strict=True):
        for r, v in enumerate(directions):
            signal[r] += sum(float(a) * b for a, b in zip(x, v, strict=True)) ** 2
            noise[r] += sum((float(c) - float(a)) * b for a, c, b in zip(x, y, v, strict=True)) ** 2
    return np.array([sum(noise[r] for r in b) / sum(signal[r] for r in b) for b in _bands(len(directions))])


def _fourier_energy(maps):
    """Energy by radius, in units of the Nyquist frequency, one frequency at a time."""
    pictures = np.asarray(maps, dtype=float)
    _, height, width, _ = pictures.shape
    found = []
    for v in range(height):
        for u in range(width):
            wave = [
                [cmath.exp(-2j * math.pi * (v * y / height + u * x / width)) for x in range(width)]
                for y in range(height)
            ]
            energy = float((np.abs(np.einsum("nyxd,yx->nd", pictures, np.array(wave))) ** 2).sum())
            fv, fu = min(v, height - v) / height, min(u, width - u) / width
            found.append((2 * math.hypot(fv, fu), energy))
    return found


def fourier_energy(maps):
    found, shares = _fourier_energy(maps), []
    for low, high in ((-1.0, 0.0), (0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 2.0)):
        shares.append(sum(e for radius, e in found if low < radius <= high) / sum(e for _, e in found))
    return np.array(shares)


def high_frequency_energy(maps):
    found = _fourier_energy(maps)
    return sum(e for radius, e in found if radius > 0.5) / sum(e for _, e in found)


def _found(query, gallery, right, k):
    """Share of the orders of tied answers in which one of the right ones is among the first k."""
    cosines = [_cosine(query, answer) for answer in gallery]
    kth = sorted(cosines, reverse=True)[k - 1]
    sure = [j for j, c in enumerate(cosines) if c > kth + 1e-12]
    tied = [j for j, c in enumerate(cosines) if abs(c - kth) <= 1e-12]
    if any(right[j] for j in sure):
        return 1.0
    orders = list(combinations(tied, k - len(sure)))
    return sum(any(right[j] for j in order) for order in orders) / len(orders)


def _image_to_text(k, images, ids, texts, image_of_text):
    hits = [_found(x, texts, [owner == i for owner in image_of_text], k) for x, i in zip(images, ids, strict=True)]
    return sum(hits) / len(hits)


def _text_to_image(k, images, ids, texts, image_of_text):
    hits = [_found(t, images, [i == owner for i in ids], k) for t, owner in zip(texts, image_of_text, strict=True)]
    return sum(hits) / len(hits)


def image_to_text_recall_at_1(*inputs):
    return _image_to_text(1, *inputs)


def image_to_text_recall_at_5(*inputs):
    return _image_to_text(5, *inputs)


def image_to_text_recall_at_10(*inputs):
    return _image_to_text(10, *inputs)


def text_to_image_recall_at_1(*inputs):
    return _text_to_image(1, *inputs)


def text_to_image_recall_at_5(*inputs):
    return _text_to_image(5, *inputs)


def text_to_image_recall_at_10(*inputs):
    return _text_to_image(10, *inputs)


def _error(correct, corruption, severity):
    return sum(1 - int(image[corruption][severity]) for image in correct) / len(correct)


def _summed(correct, corruption, taken_off=0.0):
    return sum(_error(correct, corruption, s) - taken_off for s in range(len(correct[0][0])))


def mean_corruption_accuracy(correct):
    kinds, severities = len(correct[0]), len(correct[0][0])
    return 1 - sum(_summed(correct, k) for k in range(kinds)) / (kinds * severities)


def mce_corruption_alexnet(correct):
    percent = {
        "gaussian": 88.6428, "shot": 89.4468, "impulse": 92.2640, "defocus": 81.9880, "glass": 82.6268,
        "motion": 78.5948, "zoom": 79.8360, "snow": 86.6816, "frost": 82.6572, "fog": 81.9324,
        "brightness": 56.4592, "contrast": 85.3204, "elastic": 64.6056, "pixelate": 71.7840, "jpeg": 60.6500,
    }  # fmt: skip
    ratios = [_summed(correct, k) / (5 * p / 100) for k, p in enumerate(percent.values())]
    return sum(ratios) / 15


def mce_corruption(correct, _clean, baseline_correct, _baseline_clean):
    kinds = len(correct[0])
    return sum(_summed(correct, k) / _summed(baseline_correct, k) for k in range(kinds)) / kinds


def relative_mce(correct, clean, baseline_correct, baseline_clean):
    def error(marks):
        return sum(1 - int(mark) for mark in marks) / len(marks)

    kinds = len(correct[0])
    ratios = [
        _summed(correct, k, error(clean)) / _summed(baseline_correct, k, error(baseline_clean)) for k in range(kinds)
    ]
    return sum(ratios) / kinds


def effective_robustness(correct, clean, fit_clean, fit_shifted):
    def odds(p):
        return math.log(p / (1 - p))

    slope, level = np.linalg.lstsq(
        np.array([[odds(float(p)), 1.0] for p in fit_clean]), [odds(float(p)) for p in fit_shifted], rcond=None
    )[0]
    expected = slope * odds(sum(map(int, clean)) / len(clean)) + level
    return sum(map(int, correct)) / len(correct) - 1 / (1 + math.exp(-expected))
