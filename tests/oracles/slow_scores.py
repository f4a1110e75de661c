"""Every score a second time: plain loops over images, written from the definitions.

Slow on purpose, and without the library's code or its numerical devices. A
function is called as the score of the same name, with the evidence and the
training set as mappings of arrays, and returns one number per image. Matrix
inverses and singular values are NumPy's.
"""

from __future__ import annotations

import math

import numpy as np


def _softmax(row, scale=1.0):
    terms = [math.exp(scale * (x - max(row))) for x in row]
    return [t / sum(terms) for t in terms]


def _unit(row):
    norm = math.sqrt(sum(float(x) ** 2 for x in row))
    return [float(x) / norm for x in row]


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _norm(row):
    return math.sqrt(_dot(row, row))


def _minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def _mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _guess(row):
    return list(row).index(max(row))


def _log_sum_exp(row):
    return max(row) + math.log(sum(math.exp(x - max(row)) for x in row))


def _logits(given):
    return [[given["logit_scale"] * float(x) for x in row] for row in given["cosines"]]


def _features(given):
    return [_unit(row) for row in given["features"]]


def mcm(evidence, _):
    return [max(_softmax(row)) for row in evidence["cosines"]]


def msp(evidence, _):
    return [max(_softmax(row)) for row in _logits(evidence)]


def max_logit(evidence, _):
    return [max(row) for row in evidence["cosines"]]


def energy(evidence, _):
    return [math.log(sum(math.exp(x) for x in row)) for row in _logits(evidence)]


def entropy(evidence, _):
    return [sum(p * math.log(p) for p in _softmax(row)) for row in _logits(evidence)]


def margin(evidence, _):
    ordered = [sorted(_softmax(row)) for row in _logits(evidence)]
    return [row[-1] - row[-2] for row in ordered]


def gen(evidence, _):
    values = []
    for row in _logits(evidence):
        p = _softmax(row)
        largest = sorted(range(len(p)), key=lambda c: -p[c])[:100]
        others = {c: sum(p[k] for k in range(len(p)) if k != c) for c in largest}
        values.append(-sum(p[c] ** 0.1 * others[c] ** 0.1 for c in largest))
    return values


def gl_mcm(evidence, _):
    values = []
    for row, patches in zip(evidence["cosines"], evidence["patch_cosines"], strict=True):
        values.append(max(_softmax(row)) + max(p for patch in patches for p in _softmax(patch)))
    return values


def neglabel(evidence, _):
    values = []
    for row, negatives in zip(evidence["cosines"], evidence["negative_cosines"], strict=True):
        familiar = sum(math.exp(x / 0.01) for x in row)
        groups = {}
        for j, x in enumerate(negatives):
            groups.setdefault(j % 100, []).append(math.exp(x / 0.01))
        shares = [familiar / (familiar + sum(group)) for group in groups.values()]
        values.append(sum(shares) / len(shares))
    return values


def kl_matching(evidence, training):
    members = {}
    for row in _logits(training):
        members.setdefault(_guess(row), []).append(_softmax(row))
    usual = [_mean(rows) for rows in members.values()]
    values = []
    for row in _logits(evidence):
        p = _softmax(row)
        values.append(-min(sum(a * math.log(a / b) for a, b in zip(p, d, strict=True)) for d in usual))
    return values


def she(evidence, training):
    members = {}
    for row, label, feature in zip(training["cosines"], training["labels"], _features(training), strict=True):
        if _guess(row) == label:
            members.setdefault(int(label), []).append(feature)
    features = _features(evidence)
    return [_dot(z, _mean(members[_guess(row)])) for z, row in zip(features, evidence["cosines"], strict=True)]


def fdbd(evidence, training):
    centre, text = _mean(_features(training)), [_unit(row) for row in evidence["text"]]
    values = []
    for z, row in zip(_features(evidence), evidence["cosines"], strict=True):
        best = _guess(row)
        others = [c for c in range(len(row)) if c != best]
        distances = [(row[best] - row[c]) / _norm(_minus(text[best], text[c])) for c in others]
        values.append(sum(distances) / len(distances) / _norm(_minus(z, centre)))
    return values


def _inverse_covariance(deviations):
    total = np.zeros((len(deviations[0]), len(deviations[0])))
    for row in deviations:
        total += np.outer(row, row)
    return np.linalg.inv(total / len(deviations))


def _class_distances(evidence, training):
    members = {}
    for label, z in zip(training["labels"], _features(training), strict=True):
        members.setdefault(int(label), []).append(z)
    means = {label: _mean(rows) for label, rows in members.items()}
    inverse = _inverse_covariance([_minus(z, means[label]) for label, rows in members.items() for z in rows])
    for z in _features(evidence):
        yield min(np.array(_minus(z, mean)) @ inverse @ np.array(_minus(z, mean)) for mean in means.values())


def mahalanobis(evidence, training):
    return [-distance for distance in _class_distances(evidence, training)]


def relative_mahalanobis(evidence, training):
    centre = _mean(_features(training))
    inverse = _inverse_covariance([_minus(z, centre) for z in _features(training)])
    apart = [np.array(_minus(z, centre)) for z in _features(evidence)]
    background = [deviation @ inverse @ deviation for deviation in apart]
    return [-(d - b) for d, b in zip(_class_distances(evidence, training), background, strict=True)]


def knn(evidence, training):
    bank = _features(training)
    return [-sorted(_norm(_minus(z, t)) for t in bank)[49] for z in _features(evidence)]


def nnguide(evidence, training):
    bank = list(zip(_features(training), map(_log_sum_exp, _logits(training)), strict=True))
    values = []
    for z, row in zip(_features(evidence), _logits(evidence), strict=True):
        nearest = sorted((height * _dot(z, t) for t, height in bank), reverse=True)[:10]
        values.append(_log_sum_exp(row) * sum(nearest) / 10)
    return values


def rank_ensemble(evidence, training):
    totals = [0.0] * len(evidence["cosines"])
    for member in (mcm, energy, mahalanobis, knn, residual):
        known = member(training, training)
        reach = 1e-9 * (max(known) - min(known))
        for row, value in enumerate(member(evidence, training)):
            lower = sum(other < value - reach for other in known)
            level = sum(abs(other - value) <= reach for other in known)
            totals[row] += (lower + level / 2) / len(known) / 5
    return totals


def _residuals(evidence, training):
    """Norms of what the first half of the right singular vectors leaves, of both sets."""
    bank = np.array(_features(training))
    principal = np.linalg.svd(bank)[2][: bank.shape[1] // 2]

    def left(z):
        for direction in principal:
            z = _minus(z, [_dot(z, direction) * d for d in direction])
        return _norm(z)

    return [left(z) for z in _features(evidence)], [left(z) for z in _features(training)]


def residual(evidence, training):
    return [-norm for norm in _residuals(evidence, training)[0]]


def vim(evidence, training):
    norms, trained = _residuals(evidence, training)
    alpha = sum(max(row) for row in _logits(training)) / sum(trained)
    return [_log_sum_exp(row) - alpha * norm for row, norm in zip(_logits(evidence), norms, strict=True)]
