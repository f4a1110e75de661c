"""Accuracy, calibration error, temperature and conformal sets a second time, by plain loops.

As ``slow_metrics.py``. Only the smooth calibration error uses arrays, to sum a
kernel over a grid; it knows nothing of cosines.
"""

from __future__ import annotations

import fractions
import itertools
import math
import runpy
from pathlib import Path

import numpy as np
from scipy import optimize

_BASE = runpy.run_path(str(Path(__file__).with_name("slow_metrics.py")))
_probabilities, _judged = _BASE["_probabilities"], _BASE["_judged"]


def _ranking(row):
    return sorted(range(len(row)), key=lambda c: (-float(row[c]), c))


def top5(logits, labels):
    return sum(int(y) in _ranking(row)[:5] for row, y in zip(logits, labels, strict=True)) / len(labels)


def balanced_accuracy(logits, labels):
    hits = {}
    for (_, correct), y in zip(_judged(logits, labels), labels, strict=True):
        hits.setdefault(int(y), []).append(correct)
    return sum(sum(h) / len(h) for h in hits.values()) / len(hits)


def _equal_width_gaps(judged):
    """(share of images, mean confidence minus accuracy) of each of 15 bins that is not empty."""
    gaps = []
    for k in range(15):
        inside = [c - a for c, a in judged if k / 15 < c <= (k + 1) / 15]
        if inside:
            gaps.append((len(inside) / len(judged), sum(inside) / len(inside)))
    return gaps


def mce(logits, labels):
    return max(abs(gap) for _, gap in _equal_width_gaps(_judged(logits, labels)))


def overconfidence(logits, labels):
    return sum(share * gap for share, gap in _equal_width_gaps(_judged(logits, labels)) if gap > 0)


def underconfidence(logits, labels):
    return -sum(share * gap for share, gap in _equal_width_gaps(_judged(logits, labels)) if gap < 0)


def _equal_mass_bins(judged, bins):
    """(mean confidence, accuracy as an exact fraction) of bins that hold n / bins images each."""
    levels = {}
    for confidence, correct in judged:
        levels.setdefault(confidence, []).append(int(correct))
    width, found = fractions.Fraction(len(judged), bins), []
    for k in range(bins):
        confidence, right, start = 0.0, fractions.Fraction(0), 0
        for level in sorted(levels):
            end = start + len(levels[level])
            inside = max(min(end, (k + 1) * width) - max(start, k * width), fractions.Fraction(0))
            confidence += float(inside / width) * level
            right += inside * fractions.Fraction(sum(levels[level]), len(levels[level]))
            start = end
        found.append((confidence, right / width))
    return found


def _equal_mass_error(judged, bins):
    return sum(abs(confidence - float(accuracy)) for confidence, accuracy in _equal_mass_bins(judged, bins)) / bins


def ece_equal_mass(logits, labels):
    return _equal_mass_error(_judged(logits, labels), 15)


def ece_debiased(logits, labels):
    judged = _judged(logits, labels)
    bins = min(15, len(judged) // 2)
    total = 0.0
    for confidence, accuracy in _equal_mass_bins(judged, bins):
        accuracy = float(accuracy)
        total += (confidence - accuracy) ** 2 - accuracy * (1 - accuracy) / (len(judged) / bins - 1)
    return math.sqrt(max(total / bins, 0.0))


def ece_sweep(logits, labels):
    judged, bins = _judged(logits, labels), 1
    while bins < min(500, len({confidence for confidence, _ in judged})):
        accuracies = [accuracy for _, accuracy in _equal_mass_bins(judged, bins + 1)]
        if any(after < before for before, after in itertools.pairwise(accuracies)):
            break
        bins += 1
    return _equal_mass_error(judged, bins)


def ks_calibration(logits, labels):
    judged = _judged(logits, labels)
    return max(abs(sum(c - a for c, a in judged if c <= cutoff)) for cutoff, _ in judged) / len(judged)


def ece_classwise(logits, labels):
    rows = [_probabilities(row) for row in logits]
    total = 0.0
    for c in range(len(rows[0])):
        for k in range(15):
            gaps = [
                row[c] - (int(y) == c)
                for row, y in zip(rows, labels, strict=True)
                if k / 15 < row[c] <= (k + 1) / 15 or (k == 0 and row[c] == 0)
            ]
            total += abs(sum(gaps)) / len(rows)
    return total / len(rows[0])


def ece_smooth(logits, labels):
    steps, on_node = 2048, {}
    judged = _judged(logits, labels)
    for confidence, correct in judged:
        node = min(math.floor(confidence * steps), steps - 1)
        for at, share in ((node, node + 1 - confidence * steps), (node + 1, confidence * steps - node)):
            on_node[at] = on_node.get(at, 0.0) + share * (confidence - correct) / len(judged)
    grid = np.arange(steps + 1) / steps
    mirrored = [
        (sign * at / steps + 2 * turn, g) for at, g in on_node.items() for sign in (1, -1) for turn in range(-2, 3)
    ]
    origins, gaps = (np.array(column) for column in zip(*mirrored, strict=True))

    def left_over(width):
        kernel = np.exp(-0.5 * ((grid - origins[:, None]) / width) ** 2) / (width * math.sqrt(2 * math.pi))
        return np.trapezoid(np.abs(gaps @ kernel), grid) - width

    return optimize.brentq(left_over, 0.01, 1.0, xtol=1e-14)


def temperature(fit_logits, fit_labels, _logits=None, _labels=None):
    def slope(sharpness):
        total = 0.0
        for row, y in zip(fit_logits, fit_labels, strict=True):
            expected = sum(p * z for p, z in zip(_probabilities([sharpness * z for z in row]), row, strict=True))
            total += expected - row[int(y)]
        return total

    low, high = 0.0, 1.0
    while slope(high) < 0:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / high


def _after_temperature(metric):
    def measured(fit_logits, fit_labels, logits, labels):
        by = temperature(fit_logits, fit_labels)
        return metric([[z / by for z in row] for row in logits], labels)

    return measured


for _metric in (
    *(_BASE[name] for name in ("ece", "signed_ece", "nll", "brier")),
    *(ece_equal_mass, ece_debiased, ece_classwise, ece_smooth, ece_sweep),
    *(mce, overconfidence, underconfidence, ks_calibration),
):
    globals()[f"{_metric.__name__}_after_temperature"] = _after_temperature(_metric)


def _cutoff(scores):
    rank = math.ceil(fractions.Fraction(9, 10) * (len(scores) + 1))
    return sorted(scores)[rank - 1] if rank <= len(scores) else math.inf


def _lac_sets(fit_logits, fit_labels, logits):
    fit = [_probabilities(row)[int(y)] for row, y in zip(fit_logits, fit_labels, strict=True)]
    cutoff = _cutoff([1 - p for p in fit])
    return [{c for c, p in enumerate(_probabilities(row)) if 1 - p <= cutoff} for row in logits]


def _so_far(row):
    """Classes, likeliest first, and the probability of each with all before it."""
    total, found = 0.0, []
    for c in _ranking(row):
        total += _probabilities(row)[c]
        found.append((c, total))
    return found


def _aps_sets(fit_logits, fit_labels, logits):
    cutoff = _cutoff([dict(_so_far(row))[int(y)] for row, y in zip(fit_logits, fit_labels, strict=True)])
    sets = []
    for row in logits:
        chosen = set()
        for c, total in _so_far(row):
            chosen.add(c)
            if total >= cutoff:
                break
        sets.append(chosen)
    return sets


def _coverage(sets, labels):
    return sum(int(y) in chosen for chosen, y in zip(sets, labels, strict=True)) / len(labels)


def conformal_coverage_lac(fit_logits, fit_labels, logits, labels):
    return _coverage(_lac_sets(fit_logits, fit_labels, logits), labels)


def conformal_size_lac(fit_logits, fit_labels, logits, labels):
    return sum(map(len, _lac_sets(fit_logits, fit_labels, logits))) / len(labels)


def conformal_coverage_aps(fit_logits, fit_labels, logits, labels):
    return _coverage(_aps_sets(fit_logits, fit_labels, logits), labels)


def conformal_size_aps(fit_logits, fit_labels, logits, labels):
    return sum(map(len, _aps_sets(fit_logits, fit_labels, logits))) / len(labels)
