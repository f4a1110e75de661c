"""The methods of limits on trial, by name, and which of them each metric is offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.coverage.figures import LEVEL, Trial, right
from benchmarks.coverage.populations import Population
from reliability.metrics import registry
from reliability.stats.absolute_sums import absolute_sum_harm
from reliability.stats.bootstrap import interval, paired_replicates
from reliability.stats.cutoff_rates import false_positive_harm
from reliability.stats.delong import delong_harm_limits
from reliability.stats.group_limits import group_gap_harm_limits, worst_group_harm_limits
from reliability.stats.means import mean_evidence, studentised_mean
from reliability.stats.proportions import PairedCounts, newcombe_limits, paired_counts, wilson_limits
from reliability.stats.ratios import linear_mean_ratio
from reliability.stats.tango import tango_limits
from reliability.types import F64, Interval

Method = Callable[[Trial], Interval]


def _differences(trial: Trial) -> F64:
    reference, candidate = trial.statistics
    harm: F64 = registry.get(trial.figure.metric).harm(reference[:, 0], candidate[:, 0])
    return harm


def _counts(trial: Trial) -> PairedCounts:
    pool = trial.sample.familiar
    return paired_counts(right(pool, "reference"), right(pool, "candidate"))


def _wilson(trial: Trial) -> Interval:
    flips = trial.statistics[1][:, 0]
    return wilson_limits(int(flips.sum()), len(flips), LEVEL)


def _grouped(limits: Callable[..., Interval]) -> Method:
    def method(trial: Trial) -> Interval:
        pool = trial.sample.familiar
        return limits(right(pool, "reference"), right(pool, "candidate"), pool.groups, LEVEL)

    return method


def _scores(trial: Trial) -> tuple[F64, F64, F64, F64]:
    reference, candidate = (trial.figure.inputs(trial.sample, side) for side in ("reference", "candidate"))
    return (*reference, *candidate)


def _clustered_percentile(trial: Trial) -> Interval:
    sizes = trial.prepared[0].sizes
    draws = paired_replicates(trial.prepared, sizes, trial.replicates, trial.seed, [trial.sample.clusters])
    return interval(trial.estimate, registry.get(trial.figure.metric).harm(*draws), LEVEL)


def _clustered_mean(trial: Trial) -> Interval:
    return mean_evidence(_differences(trial), trial.sample.clusters).limits(LEVEL)


def _linear_ratio(trial: Trial) -> Interval:
    reference, candidate = (linear_mean_ratio(*np.hsplit(statistics, 2)) for statistics in trial.statistics)
    return mean_evidence(candidate - reference).limits(LEVEL)


METHODS: Mapping[str, Method] = {
    "percentile": lambda trial: interval(trial.estimate, trial.draws, LEVEL),
    "basic": lambda trial: interval(trial.estimate, trial.draws, LEVEL, "basic"),
    "bca": lambda trial: interval(trial.estimate, trial.draws, LEVEL, "bca", trial.influence),
    "student": lambda trial: studentised_mean(_differences(trial), LEVEL, trial.replicates, trial.seed),
    "skewed mean": lambda trial: mean_evidence(_differences(trial)).limits(LEVEL),
    "tango": lambda trial: tango_limits(_counts(trial), LEVEL),
    "newcombe": lambda trial: newcombe_limits(_counts(trial), LEVEL),
    "wilson": _wilson,
    "common signs": lambda trial: absolute_sum_harm(*trial.statistics).limits(LEVEL),
    "common worst": _grouped(worst_group_harm_limits),
    "common pair": _grouped(group_gap_harm_limits),
    "delong": lambda trial: delong_harm_limits(*_scores(trial), LEVEL),
    "percentile, clusters": _clustered_percentile,
    "skewed mean, clusters": _clustered_mean,
    "linear ratio": _linear_ratio,
    "slope": lambda trial: false_positive_harm(*_scores(trial)).limits(LEVEL),
}
BOOTSTRAP = ("percentile", "basic", "bca")
OFFERED: Mapping[str, tuple[str, ...]] = {
    "top1": (*BOOTSTRAP, "student", "skewed mean", "newcombe", "tango"),
    "flip_rate": (*BOOTSTRAP, "wilson"),
    "nll": (*BOOTSTRAP, "student", "skewed mean"),
    "brier": (*BOOTSTRAP, "student", "skewed mean"),
    "signed_ece": (*BOOTSTRAP, "student", "skewed mean"),
    "ece": (*BOOTSTRAP, "common signs"),
    "aurc": BOOTSTRAP,
    "worst_group_accuracy": (*BOOTSTRAP, "common worst"),
    "group_gap": (*BOOTSTRAP, "common pair"),
    "relative_spurious_gap": BOOTSTRAP,
    "added_vulnerability": BOOTSTRAP,
    "mean_corruption_accuracy": (*BOOTSTRAP, "skewed mean"),
    "mce_corruption": (*BOOTSTRAP, "linear ratio"),
    "relative_mce": BOOTSTRAP,
    "auroc": (*BOOTSTRAP, "delong"),
    "fpr95": (*BOOTSTRAP, "slope"),
}
CLUSTERED = ("percentile", "skewed mean", "percentile, clusters", "skewed mean, clusters")
_RESAMPLED = ("aurc", "relative_spurious_gap", "added_vulnerability", "relative_mce")
RECOMMENDED: Mapping[str, str] = {metric: offered[-1] for metric, offered in OFFERED.items()} | dict.fromkeys(
    _RESAMPLED, "percentile"
)
"""The last one offered, unless said otherwise."""


def offered(population: Population, metric: str) -> tuple[str, ...]:
    """The methods on trial for a metric in a population."""
    return CLUSTERED if population.versions > 1 and not population.corrupted else OFFERED[metric]
