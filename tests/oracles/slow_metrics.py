"""Every metric a second time: plain loops over images, written from the definitions.

Slow on purpose, and without the library's code, its sorting or its weights. A
function is called as the metric of the same name.
"""

from __future__ import annotations

import math


def _probabilities(row):
    top = max(row)
    terms = [math.exp(x - top) for x in row]
    return [t / sum(terms) for t in terms]


def _guess(row):
    return [float(x) for x in row].index(max(float(x) for x in row))


def _judged(logits, labels):
    """(confidence, 1.0 if correct else 0.0) of each image."""
    return [(max(_probabilities(row)), float(_guess(row) == int(y))) for row, y in zip(logits, labels, strict=True)]


def top1(logits, labels):
    return sum(correct for _, correct in _judged(logits, labels)) / len(labels)


def ece(logits, labels):
    judged, total = _judged(logits, labels), 0.0
    for k in range(15):
        inside = [(c, a) for c, a in judged if k / 15 < c <= (k + 1) / 15]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(a for _, a in inside) / len(inside)
            total += len(inside) / len(judged) * abs(accuracy - confidence)
    return total


def signed_ece(logits, labels):
    judged = _judged(logits, labels)
    return sum(c for c, _ in judged) / len(judged) - top1(logits, labels)


def nll(logits, labels):
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        top = max(row)
        total += math.log(sum(math.exp(x - top) for x in row)) + top - row[int(y)]
    return total / len(labels)


def brier(logits, labels):
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        total += sum((p - (c == int(y))) ** 2 for c, p in enumerate(_probabilities(row)))
    return total / len(labels)


def aurc(confidence, correct):
    judged, total = list(zip(confidence, correct, strict=True)), 0.0
    for cutoff, _ in judged:
        accepted = [a for c, a in judged if c >= cutoff]
        total += 1 - sum(accepted) / len(accepted)
    return total / len(judged)


def auroc(scores_id, scores_ood):
    wins = 0.0
    for inside in scores_id:
        for outside in scores_ood:
            wins += 1.0 if inside > outside else 0.5 if inside == outside else 0.0
    return wins / (len(scores_id) * len(scores_ood))


def fpr95(scores_id, scores_ood):
    for cutoff in sorted({*map(float, scores_id), *map(float, scores_ood)}, reverse=True):
        kept = sum(1 for s in scores_id if s >= cutoff)
        if 100 * kept >= 95 * len(scores_id):
            return sum(1 for s in scores_ood if s >= cutoff) / len(scores_ood)
    raise AssertionError("the lowest cutoff keeps everything")


def aupr_in(scores_id, scores_ood):
    total, recall = 0.0, 0.0
    for cutoff in sorted({*map(float, scores_id), *map(float, scores_ood)}, reverse=True):
        true = sum(1 for s in scores_id if s >= cutoff)
        false = sum(1 for s in scores_ood if s >= cutoff)
        total += (true / len(scores_id) - recall) * true / (true + false)
        recall = true / len(scores_id)
    return total


def aupr_out(scores_id, scores_ood):
    return aupr_in([-s for s in scores_ood], [-s for s in scores_id])


def _group_accuracies(logits, labels, groups):
    hits = {}
    for row, y, g in zip(logits, labels, groups, strict=True):
        hits.setdefault(int(g), []).append(_guess(row) == int(y))
    return [sum(h) / len(h) for h in hits.values()]


def worst_group_accuracy(logits, labels, groups):
    return min(_group_accuracies(logits, labels, groups))


def group_gap(logits, labels, groups):
    accuracies = _group_accuracies(logits, labels, groups)
    return max(accuracies) - min(accuracies)


def flip_rate(reference_logits, candidate_logits, labels):
    pairs = list(zip(reference_logits, candidate_logits, strict=True))
    return sum(_guess(a) != _guess(b) for a, b in pairs) / len(labels)
