"""What is measured on a pair of models: the figures that gates judge, and one trial of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from benchmarks.coverage.populations import Pool, Population
from reliability.metrics import registry
from reliability.metrics.prepared import Prepared
from reliability.stats.bootstrap import jackknife_influence, paired_replicates
from reliability.types import F64

LEVEL = 0.95
Side = Literal["reference", "candidate"]


@dataclass(frozen=True)
class Figure:
    """A metric as a bound judges it.

    Attributes:
        metric: Registered name.
        score: For separation: ``mcm`` (softmax of cosines) or ``msp`` (of logits).
        alone: Whether the candidate is judged by itself (``at_most``), not its harm.
    """

    metric: str
    score: str = ""
    alone: bool = False

    @property
    def name(self) -> str:
        """As printed."""
        return f"{self.metric} ({self.score})" if self.score else self.metric

    def inputs(self, population: Population, side: Side) -> tuple[Any, ...]:
        """Arguments of the metric for one model."""
        return _INPUTS[registry.get(self.metric).kind](population, side, self.score)

    def value(self, population: Population) -> float:
        """What the limits are about: the harm, or the candidate's value."""
        metric = registry.get(self.metric)
        reference, candidate = (metric.fn(*self.inputs(population, side)) for side in ("reference", "candidate"))
        return float(candidate if self.alone else metric.harm(reference, candidate))


MEANS = (Figure("nll"), Figure("brier"), Figure("signed_ece"))
CLASSIFICATION = (Figure("top1"), Figure("flip_rate", alone=True), *MEANS, Figure("ece"), Figure("aurc"))
GROUPED = (Figure("worst_group_accuracy"), Figure("group_gap"))
SPURIOUS = (Figure("relative_spurious_gap"), Figure("added_vulnerability"))
SEPARATION = (Figure("auroc", "mcm"), Figure("auroc", "msp"), Figure("fpr95", "mcm"))
CLUSTERED = (Figure("top1"), Figure("nll"))
CORRUPTED = (Figure("mean_corruption_accuracy"), Figure("mce_corruption"), Figure("relative_mce"))


def offered(population: Population) -> tuple[Figure, ...]:
    """The figures that a population is there to study."""
    if population.unfamiliar is not None:
        chosen: tuple[Figure, ...] = SEPARATION
    elif population.versions > 1:
        chosen = CORRUPTED if population.corrupted else CLUSTERED
    else:
        groups = int(population.familiar.groups.max()) + 1
        chosen = CLASSIFICATION if groups == 1 else GROUPED + (SPURIOUS if groups == 2 else ())
    return tuple(figure for figure in chosen if not population.only or figure.metric in population.only)


def confidence(logits: F64) -> F64:
    """[N] largest softmax probability."""
    total: F64 = np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    return 1.0 / total


def right(pool: Pool, side: Side) -> F64:
    """[N] 1 where the model's class is the label's, else 0."""
    answers: F64 = (_logits(pool, side).argmax(axis=1) == pool.labels).astype(np.float64)
    return answers


def _logits(pool: Pool, side: Side) -> F64:
    logits: F64 = getattr(pool, side).astype(np.float64)
    return logits


def _classification(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return getattr(population.familiar, side), population.familiar.labels


def _grouped(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return getattr(population.familiar, side), population.familiar.labels, population.familiar.groups


def _agreement(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return population.familiar.reference, getattr(population.familiar, side), population.familiar.labels


def _grouped_agreement(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return *_agreement(population, side, _), population.familiar.groups


def _answers(population: Population, side: Side) -> tuple[F64, F64]:
    """Right answers to the corruptions [N, K, 2] and to the clean pictures [N]."""
    marks = right(population.familiar, side).reshape(-1, population.versions)
    return marks[:, 1:].reshape(len(marks), -1, 2), marks[:, 0]


def _corruptions(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return _answers(population, side)[:1]


def _robustness(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return *_answers(population, side), *_answers(population, "reference")


def _selective(population: Population, side: Side, _: str) -> tuple[Any, ...]:
    return confidence(_logits(population.familiar, side)), right(population.familiar, side)


def _separation(population: Population, side: Side, score: str) -> tuple[Any, ...]:
    if population.unfamiliar is None:
        raise ValueError(f"{population.name} has no unfamiliar pictures")
    scale = population.logit_scale if score == "mcm" else 1.0
    return tuple(confidence(_logits(pool, side) / scale) for pool in (population.familiar, population.unfamiliar))


_INPUTS = {
    "classification": _classification,
    "grouped": _grouped,
    "agreement": _agreement,
    "grouped_agreement": _grouped_agreement,
    "corruptions": _corruptions,
    "robustness": _robustness,
    "selective": _selective,
    "separation": _separation,
}


@dataclass(frozen=True)
class Trial:
    """One figure on one sample; what several methods need is computed once.

    Attributes:
        figure: What is measured.
        sample: The pictures drawn.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
    """

    figure: Figure
    sample: Population
    replicates: int
    seed: int

    @cached_property
    def prepared(self) -> tuple[Prepared, Prepared]:
        """The metric of both models, waiting for image weights."""
        weighted = registry.get(self.figure.metric).weighted
        if weighted is None:
            raise ValueError(f"{self.figure.metric} cannot be resampled")
        return weighted(*self.figure.inputs(self.sample, "reference")), weighted(
            *self.figure.inputs(self.sample, "candidate")
        )

    @cached_property
    def estimate(self) -> float:
        """On the sample as it is."""
        return float(self._figure(*(p(*(np.ones((1, n), np.uint8) for n in p.sizes)) for p in self.prepared))[0])

    @cached_property
    def draws(self) -> F64:
        """[B] on resamples."""
        return self._figure(*paired_replicates(self.prepared, self.prepared[0].sizes, self.replicates, self.seed))

    @cached_property
    def influence(self) -> F64:
        """[G] of the jackknife."""
        return self._figure(*jackknife_influence(self.prepared, self.prepared[0].sizes, seed=self.seed))

    @cached_property
    def statistics(self) -> tuple[F64, F64]:
        """[N, K] per-image statistics of both models, where the metric is a function of their means."""
        reference, candidate = (p.statistics for p in self.prepared)  # type: ignore[attr-defined]
        return reference, candidate

    def _figure(self, reference: F64, candidate: F64) -> F64:
        return candidate if self.figure.alone else registry.get(self.figure.metric).harm(reference, candidate)
