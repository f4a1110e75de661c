"""Reference and candidate on the same pictures: scores, metrics, paired harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import DataError, UsageError
from reliability.metrics import registry
from reliability.metrics.answers import read_answers
from reliability.metrics.calibration import reliability_bins
from reliability.metrics.scores import get_score
from reliability.stats.bootstrap import interval, paired_replicates
from reliability.types import Comparison, Embeddings, Task

REPLICATES = 2000
Weighted = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Side:
    """One model on a task: the task's pictures and, for OOD tasks, the familiar ones."""

    part: Embeddings
    familiar: Embeddings | None = None


@dataclass(frozen=True)
class Pair:
    """Both models on one task.

    Raises:
        DataError: The two sides do not hold the same pictures in the same order.
    """

    task: Task
    reference: Side
    candidate: Side

    def __post_init__(self) -> None:
        _check_same_pictures(self.task.name, self.reference.part, self.candidate.part)
        if self.reference.familiar is not None and self.candidate.familiar is not None:
            _check_same_pictures(self.task.name, self.reference.familiar, self.candidate.familiar)

    def harm(
        self, metric: str, score: str = "", *, level: float = 0.95, seed: int = 0, replicates: int = REPLICATES
    ) -> Comparison:
        """How much worse the candidate is, with one-sided limits from a paired bootstrap over pictures.

        Args:
            metric: A registered metric.
            score: A registered score, for metrics that tell unfamiliar pictures from familiar ones.
            level: Confidence of each one-sided limit.
            seed: Of the resampling.

        Raises:
            UsageError: The metric does not fit the task, or lacks its score.
            UndefinedMetricError: The metric has no value on these pictures.
        """
        chosen = registry.get(metric)
        if chosen.weighted is None or chosen.kind not in _INPUTS:
            raise UsageError(
                where=f"metric {metric}", what="no interval can be given for this metric, so no bound can judge it",
                got=f"a metric of kind {chosen.kind}", next=f"choose one of {', '.join(sorted(judgeable_metrics()))}",
            )  # fmt: skip
        inputs = _INPUTS[chosen.kind](self, score)
        sizes = tuple(len(column) for column in inputs.strata)
        statistics: list[Weighted] = [chosen.weighted(*inputs.reference), chosen.weighted(*inputs.candidate)]
        reference, candidate = chosen.fn(*inputs.reference), chosen.fn(*inputs.candidate)
        draws = paired_replicates(statistics, sizes, replicates=replicates, seed=seed)
        return Comparison(
            metric=metric,
            score=score,
            reference=interval(reference, draws[0], level),
            candidate=interval(candidate, draws[1], level),
            harm=interval(chosen.harm(reference, candidate), chosen.harm(draws[0], draws[1]), level),
            n=sum(sizes),
            seed=seed,
            details=_DETAILS.get(metric, _no_details)(self),
        )


@dataclass(frozen=True)
class _Inputs:
    """Arguments of a metric for each model; ``strata`` are the columns that are resampled apart."""

    reference: tuple[Any, ...]
    candidate: tuple[Any, ...]
    strata: tuple[NDArray[Any], ...]


def _check_same_pictures(task: str, first: Embeddings, second: Embeddings) -> None:
    if len(first.ids) == len(second.ids) and (first.ids == second.ids).all():
        return
    same = min(len(first.ids), len(second.ids))
    differ = np.flatnonzero(first.ids[:same] != second.ids[:same])
    at = int(differ[0]) if len(differ) else same
    raise DataError(
        where=f"task {task}, row {at}",
        what="reference and candidate do not hold the same pictures in the same order",
        got=f"{len(first.ids)} and {len(second.ids)} pictures, first difference at row {at}",
        next="embed both on the same source; a comparison of different pictures is not paired",
    )


def _no_score(pair: Pair, score: str) -> None:
    if score:
        raise UsageError(
            where=f"task {pair.task.name}", what="only metrics that separate familiar from unfamiliar take a score",
            got=f"score {score!r}", next="remove the score, or use auroc or fpr95 on an ood/* task",
        )  # fmt: skip


def _classification(pair: Pair, score: str) -> _Inputs:
    _no_score(pair, score)
    first, second = pair.reference.part, pair.candidate.part
    return _Inputs((first.logits, first.labels), (second.logits, second.labels), (first.labels,))


def _grouped(pair: Pair, score: str) -> _Inputs:
    _no_score(pair, score)
    first, second = pair.reference.part, pair.candidate.part
    return _Inputs(
        (first.logits, first.labels, first.groups), (second.logits, second.labels, second.groups), (first.labels,)
    )


def _selective(pair: Pair, score: str) -> _Inputs:
    _no_score(pair, score)
    first, second = pair.reference.part, pair.candidate.part
    both = [read_answers("confidence", part.logits, part.labels) for part in (first, second)]
    columns = [(answers.confidence, answers.correct) for answers in both]
    return _Inputs(columns[0], columns[1], (first.labels,))


def _agreement(pair: Pair, score: str) -> _Inputs:
    _no_score(pair, score)
    first, second = pair.reference.part, pair.candidate.part
    return _Inputs(
        (first.logits, first.logits, first.labels), (first.logits, second.logits, first.labels), (first.labels,)
    )


def _separation(pair: Pair, score: str) -> _Inputs:
    if not score or pair.reference.familiar is None:
        raise UsageError(
            where=f"task {pair.task.name}", what="telling unfamiliar pictures apart needs an ood/* task and a score",
            got=f"score {score!r}", next='name a score in the bound, such as score = "mcm", and tasks "ood/*"',
        )  # fmt: skip
    fn = get_score(score).fn
    columns = [
        tuple(fn(part.cosines, part.logit_scale) for part in (side.familiar, side.part) if part is not None)
        for side in (pair.reference, pair.candidate)
    ]
    return _Inputs(columns[0], columns[1], columns[0])


_INPUTS: Mapping[str, Callable[[Pair, str], _Inputs]] = {
    "classification": _classification,
    "selective": _selective,
    "grouped": _grouped,
    "agreement": _agreement,
    "separation": _separation,
}


def judgeable_metrics() -> tuple[str, ...]:
    """Names of the metrics that a bound can judge: those with an interval on an embedded task."""
    return tuple(m.name for m in registry.all_metrics() if m.weighted is not None and m.kind in _INPUTS)


def _no_details(_: Pair) -> Mapping[str, Any]:
    return {}


def _reliability_details(pair: Pair) -> Mapping[str, Any]:
    """Bins of both reliability diagrams."""
    sides = {"reference": pair.reference.part, "candidate": pair.candidate.part}
    return {"reliability": {name: _diagram(part) for name, part in sides.items()}}


def _diagram(part: Embeddings) -> Mapping[str, Any]:
    """Bins as JSON can hold them: an empty bin, which has no mean, gets 0 beside its count of 0."""
    bins = reliability_bins(part.logits, part.labels)
    return {
        "count": bins.counts.tolist(),
        "confidence": np.nan_to_num(bins.confidence).tolist(),
        "accuracy": np.nan_to_num(bins.accuracy).tolist(),
    }


def _group_details(pair: Pair) -> Mapping[str, Any]:
    """Top-1 accuracy of each group under both models."""
    groups = pair.reference.part.groups
    names = pair.task.group_names
    right = {
        "reference": pair.reference.part.logits.argmax(1) == pair.reference.part.labels,
        "candidate": pair.candidate.part.logits.argmax(1) == pair.candidate.part.labels,
    }
    return {
        "groups": {
            names[group] if group < len(names) else str(group): {
                side: float(correct[groups == group].mean()) for side, correct in right.items()
            }
            for group in np.unique(groups).tolist()
        }
    }


_DETAILS: Mapping[str, Callable[[Pair], Mapping[str, Any]]] = {
    "ece": _reliability_details,
    "worst_group_accuracy": _group_details,
}
