"""Separation, selective and rank metrics a second time: loops over cutoffs and pairs, from the definitions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction


def fpr95_ood_positive(scores_id, scores_ood):
    for cutoff in sorted({*map(float, scores_id), *map(float, scores_ood)}):
        flagged = sum(1 for s in scores_ood if s <= cutoff)
        if 100 * flagged >= 95 * len(scores_ood):
            return sum(1 for s in scores_id if s <= cutoff) / len(scores_id)
    raise AssertionError("the highest cutoff flags everything")


def detection_error(scores_id, scores_ood):
    errors = []
    for cutoff in [*map(float, scores_id), *map(float, scores_ood), math.inf]:
        missed = sum(1 for s in scores_id if s < cutoff) / len(scores_id)
        let_in = sum(1 for s in scores_ood if s >= cutoff) / len(scores_ood)
        errors.append((missed + let_in) / 2)
    return min(errors)


def autc(scores_id, scores_ood):
    """Both error rates integrated step by step over the scaled cutoff."""
    cutoffs = sorted({*map(float, scores_id), *map(float, scores_ood)})
    area = 0.0
    for low, high in itertools.pairwise(cutoffs):
        # Every cutoff in (low, high] makes the same mistakes as the cutoff ``high``.
        missed = sum(1 for s in scores_id if s < high) / len(scores_id)
        let_in = sum(1 for s in scores_ood if s >= high) / len(scores_ood)
        area += (high - low) / (cutoffs[-1] - cutoffs[0]) * (missed + let_in) / 2
    return area


def _accepted(confidence, correct, cutoff):
    return [bool(a) for c, a in zip(confidence, correct, strict=True) if c >= cutoff]


def eaurc(confidence, correct):
    n, wrong = len(confidence), sum(1 for a in correct if not a)
    risks = []
    for cutoff in confidence:
        accepted = _accepted(confidence, correct, cutoff)
        risks.append(accepted.count(False) / len(accepted))
    e = wrong / n
    best = {0: 0.0, n: 1.0}.get(wrong) if wrong in (0, n) else e + (1 - e) * math.log(1 - e)
    return sum(risks) / n - best


def augrc(confidence, correct):
    points = [(0.0, 0.0)]
    for cutoff in sorted(set(map(float, confidence)), reverse=True):
        accepted = _accepted(confidence, correct, cutoff)
        points.append((len(accepted) / len(confidence), accepted.count(False) / len(confidence)))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(points))


def accuracy_at_coverage(confidence, correct):
    wanted = Fraction(4, 5) * len(confidence)
    taken = hits = Fraction(0)
    for level in sorted(set(map(float, confidence)), reverse=True):
        tied = [bool(a) for c, a in zip(confidence, correct, strict=True) if c == level]
        entering = min(Fraction(len(tied)), wanted - taken)
        taken += entering
        hits += entering * Fraction(sum(tied), len(tied))
    return float(hits / wanted)


def coverage_at_risk(confidence, correct):
    best = Fraction(0)
    for cutoff in set(map(float, confidence)):
        accepted = _accepted(confidence, correct, cutoff)
        if Fraction(accepted.count(False), len(accepted)) <= Fraction(5, 100):
            best = max(best, Fraction(len(accepted), len(confidence)))
    return float(best)


def _midrank(scores, i):
    return sum(1 for s in scores if s < scores[i]) + (sum(1 for s in scores if s == scores[i]) + 1) / 2


def rank_correlation(reference_scores, candidate_scores):
    n = len(reference_scores)
    a = [_midrank(reference_scores, i) for i in range(n)]
    b = [_midrank(candidate_scores, i) for i in range(n)]
    mean_a, mean_b = sum(a) / n, sum(b) / n
    common = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return common / math.sqrt(spread)


def tie_rate(reference_scores, candidate_scores):
    told_apart = lost = 0
    for i in range(len(reference_scores)):
        for j in range(i):
            if reference_scores[i] != reference_scores[j]:
                told_apart += 1
                lost += candidate_scores[i] == candidate_scores[j]
    return lost / told_apart
