"""Every closed or fast statistic a second time: from its definition, by loops, bisection or enumeration.

Slow on purpose, and without the library's code or formulas.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction


def bisect(increasing, low, high):
    """Where an increasing function crosses 0, to the last bit."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return (low + high) / 2


def normal_cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_quantile(level):
    return bisect(lambda z: normal_cdf(z) - level, -40.0, 40.0)


def wilson_upper(successes, n, level):
    z = normal_quantile(level)
    if successes == n:
        return 1.0
    return bisect(lambda p: p - successes / n - z * math.sqrt(p * (1 - p) / n), successes / n + 1e-9, 1.0)


def restricted_rare_rate(n, common, rare, size):
    """Maximise the likelihood over the rate q of the rarer discordance, the other being q + size."""
    concordant = n - common - rare

    def slope(q):
        terms = [(common, q + size), (rare, q), (-2 * concordant, 1 - 2 * q - size)]
        return sum(count / max(rate, 1e-300) for count, rate in terms if count)

    low, high = 0.0, (1 - size) / 2
    if low == high:
        return low
    return bisect(lambda q: -slope(q), low, high)


def tango_statistic(n, only_reference, only_candidate, harm):
    common, rare = (only_reference, only_candidate) if harm >= 0 else (only_candidate, only_reference)
    rate = restricted_rare_rate(n, common, rare, abs(harm))
    variance = (2 * rate + abs(harm) - harm * harm) / n
    return ((only_reference - only_candidate) / n - harm) / math.sqrt(variance)


def tango_upper(n, only_reference, only_candidate, level):
    z = normal_quantile(level)
    start = (only_reference - only_candidate) / n
    # Just inside both ends, where the variance may vanish.
    low, high = start + 1e-9 * (1 - start), 1.0 - 1e-12
    return bisect(lambda h: -tango_statistic(n, only_reference, only_candidate, h) - z, low, high)


def mcnemar(only_reference, only_candidate, mid):
    """One-sided value for a better candidate and the two-sided one, as exact fractions."""
    trials = only_reference + only_candidate
    weight = Fraction(1, 2**trials)

    def tail(count):
        total = sum(math.comb(trials, k) for k in range(count + 1)) * weight
        return total - (math.comb(trials, count) * weight / 2 if mid else 0)

    better, worse = tail(only_reference), tail(only_candidate)
    return float(better), float(min(Fraction(1), 2 * min(better, worse)))


def _wins(inside, outside):
    return [[1.0 if x > y else 0.5 if x == y else 0.0 for y in outside] for x in inside]


def _sample_covariance(a, b):
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / (len(a) - 1)


def delong(models):
    """AUROC of each model, and their covariance matrix S10 / N + S01 / M by placement loops.

    ``models`` lists (scores_id, scores_ood) on the same images.
    """
    tables = [_wins(*model) for model in models]
    rows = [[sum(row) / len(row) for row in table] for table in tables]
    columns = [[sum(column) / len(column) for column in zip(*table, strict=True)] for table in tables]
    areas = [sum(row) / len(row) for row in rows]
    covariance = [
        [
            _sample_covariance(rows[i], rows[j]) / len(rows[i])
            + _sample_covariance(columns[i], columns[j]) / len(columns[i])
            for j in range(len(models))
        ]
        for i in range(len(models))
    ]
    return areas, covariance


def hanley_mcneil_variance(auroc, n_id, n_ood):
    """As printed in the paper, before any factoring."""
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    top = auroc * (1 - auroc) + (n_id - 1) * (q1 - auroc**2) + (n_ood - 1) * (q2 - auroc**2)
    return top / (n_id * n_ood)


def holm_by_closure(p_values):
    """Adjusted p-values of the closed test whose local tests are Bonferroni's: every intersection is tested."""
    count = len(p_values)
    sets = [s for size in range(1, count + 1) for s in itertools.combinations(range(count), size)]
    local = {s: min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets}
    return [max(value for s, value in local.items() if i in s) for i in range(count)]


def benjamini_hochberg_rejections(p_values, rate):
    """The step-up rule in the paper's own words, at one rate."""
    ordered, count = sorted(p_values), len(p_values)
    passing = [k for k in range(1, count + 1) if ordered[k - 1] <= k / count * rate]
    cutoff = ordered[max(passing) - 1] if passing else -1.0
    return [p <= cutoff for p in p_values]


def mean_squares(table):
    """Draws, images and residual mean squares of a two-way table [R][N]."""
    draws, images = len(table), len(table[0])
    grand = sum(map(sum, table)) / (draws * images)
    rows = [sum(row) / images for row in table]
    columns = [sum(row[i] for row in table) / draws for i in range(images)]
    between_draws = images * sum((r - grand) ** 2 for r in rows) / (draws - 1)
    between_images = draws * sum((c - grand) ** 2 for c in columns) / (images - 1)
    residual = sum((table[r][i] - rows[r] - columns[i] + grand) ** 2 for r in range(draws) for i in range(images))
    return between_draws, between_images, residual / ((draws - 1) * (images - 1))
