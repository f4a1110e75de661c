"""Grouped and agreement metrics a second time: plain loops over images, from the definitions."""

from __future__ import annotations

import math


def _guess(row):
    return [float(x) for x in row].index(max(float(x) for x in row))


def _probabilities(row):
    top = max(row)
    terms = [math.exp(x - top) for x in row]
    return [t / sum(terms) for t in terms]


def _accuracy(logits, labels, members):
    hits = [_guess(row) == int(y) for row, y, m in zip(logits, labels, members, strict=True) if m]
    return sum(hits) / len(hits)


def relative_spurious_gap(logits, labels, groups):
    common = _accuracy(logits, labels, [g == 0 for g in groups])
    counter = _accuracy(logits, labels, [g != 0 for g in groups])
    return (common - counter) / common


def worst_group_ece(logits, labels, groups):
    worst = 0.0
    for group in set(map(int, groups)):
        bins = {}
        for row, y, g in zip(logits, labels, groups, strict=True):
            if int(g) == group:
                confidence = max(_probabilities(row))
                place = next(k for k in range(15) if confidence <= (k + 1) / 15)
                bins.setdefault(place, []).append((confidence, _guess(row) == int(y)))
        total = sum(len(inside) for inside in bins.values())
        gaps = [abs(sum(c for c, _ in inside) - sum(a for _, a in inside)) for inside in bins.values()]
        worst = max(worst, sum(gaps) / total)
    return worst


def added_vulnerability(reference_logits, candidate_logits, labels, groups):
    losses = []
    for members in ([g != 0 for g in groups], [g == 0 for g in groups]):
        before = _accuracy(reference_logits, labels, members)
        losses.append((before - _accuracy(candidate_logits, labels, members)) / before)
    return losses[0] - losses[1]


def _rights(reference_logits, candidate_logits, labels):
    rows = zip(reference_logits, candidate_logits, labels, strict=True)
    return [(_guess(a) == int(y), _guess(b) == int(y)) for a, b, y in rows]


def negative_flip_rate(reference_logits, candidate_logits, labels):
    rights = _rights(reference_logits, candidate_logits, labels)
    return sum(before and not after for before, after in rights) / len(rights)


def backward_trust_compatibility(reference_logits, candidate_logits, labels):
    rights = _rights(reference_logits, candidate_logits, labels)
    return sum(before and after for before, after in rights) / sum(before for before, _ in rights)


def _divergence_from(mixture, probabilities):
    return sum(p * math.log(p / m) for p, m in zip(probabilities, mixture, strict=True) if p > 0)


def js_divergence(reference_logits, candidate_logits, labels):
    total = 0.0
    for first, second in zip(reference_logits, candidate_logits, strict=True):
        p, q = _probabilities(first), _probabilities(second)
        mixture = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
        total += (_divergence_from(mixture, p) + _divergence_from(mixture, q)) / 2
    return total / len(labels)
