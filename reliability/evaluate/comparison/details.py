"""What a report needs to draw a figure: plain dicts beside the number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reliability.evaluate.comparison.curves import COVERAGE, FALSE_ACCEPTANCE, risk_coverage, roc
from reliability.evaluate.comparison.flips import flips
from reliability.evaluate.comparison.inputs import Asked, Inputs
from reliability.metrics.answers import Answers, read_answers
from reliability.metrics.calibration import bins_of
from reliability.metrics.features import octaves
from reliability.metrics.kinds import Kind
from reliability.metrics.registry import Metric
from reliability.metrics.representation import noise_to_signal_by_rank
from reliability.metrics.spectral import spectrum_energy
from reliability.types import F64, Embeddings

Details = Mapping[str, Any]
Draw = Callable[[Asked, Inputs], Details]

_DIGITS = 4
"""Of shares on a curve: a pixel of any figure is coarser."""


def details(metric: Metric, asked: Asked, inputs: Inputs) -> Details:
    """What there is to draw for a metric, JSON-serialisable; empty for most.

    Args:
        metric: What was measured.
        asked: Of both models, on which task.
        inputs: The metric's arguments.
    """
    draw = _BY_METRIC.get(metric.name) or _BY_KIND.get(metric.kind)
    return {} if draw is None else draw(asked, inputs)


def _confidence(asked: Asked, inputs: Inputs) -> Details:
    """Bins of both reliability diagrams, and what abstaining by confidence would save."""
    del inputs
    first, second = (read_answers("details", part.logits, part.labels) for part in asked.parts)
    return {
        "reliability": {"reference": _diagram(first), "candidate": _diagram(second)},
        **_risk((first.confidence, first.correct), (second.confidence, second.correct)),
    }


def _diagram(answers: Answers) -> Details:
    """Bins as JSON can hold them: an empty bin, which has no mean, gets 0 beside its count of 0."""
    bins = bins_of(answers)
    return {
        "count": bins.counts.tolist(),
        "confidence": np.nan_to_num(bins.confidence).tolist(),
        "accuracy": np.nan_to_num(bins.accuracy).tolist(),
    }


def _selective(asked: Asked, inputs: Inputs) -> Details:
    del asked
    return _risk(inputs.reference, inputs.candidate)


def _risk(reference: tuple[Any, ...], candidate: tuple[Any, ...]) -> Details:
    """Risk-coverage curves, from confidence and correctness of both models."""
    curves = {"reference": risk_coverage(*reference), "candidate": risk_coverage(*candidate)}
    return {"risk_coverage": {"coverage": _plain(COVERAGE), **_both(curves)}}


def _separation(asked: Asked, inputs: Inputs) -> Details:
    """ROC curves, from the scores of familiar and unfamiliar pictures under both models."""
    del asked
    curves = {"reference": roc(*inputs.reference), "candidate": roc(*inputs.candidate)}
    return {"roc": {"false_acceptance": _plain(FALSE_ACCEPTANCE), **_both(curves)}}


def _spectrum(asked: Asked, inputs: Inputs) -> Details:
    """Energy of both models' features by octave of rank, and the noise on the reference's directions."""
    del inputs
    first, second = (part.image.astype(np.float64) for part in asked.parts)
    curves = {"reference": spectrum_energy(first), "candidate": spectrum_energy(second)}
    found: dict[str, Any] = {name: energy.tolist() for name, energy in curves.items()}
    if first.shape[1] == second.shape[1]:
        found["noise_to_signal"] = noise_to_signal_by_rank(first, second).tolist()
    return {"spectrum": {"last_rank": [*octaves(first.shape[1]), first.shape[1]], **found}}


def _groups(asked: Asked, inputs: Inputs) -> Details:
    """Top-1 accuracy of each group under both models."""
    del inputs
    names, groups = asked.task.group_names, asked.reference.part.groups
    right = {side: _right(part) for side, part in zip(("reference", "candidate"), asked.parts, strict=True)}
    return {
        "groups": {
            names[group] if group < len(names) else str(group): {
                side: float(correct[groups == group].mean()) for side, correct in right.items()
            }
            for group in np.unique(groups).tolist()
        }
    }


def _right(part: Embeddings) -> np.ndarray[Any, np.dtype[np.bool_]]:
    right: np.ndarray[Any, np.dtype[np.bool_]] = part.logits.argmax(1) == part.labels
    return right


def _flips(asked: Asked, inputs: Inputs) -> Details:
    """Pictures that the two models answer differently."""
    del inputs
    return {"flips": flips(asked.task, *asked.parts)}


def _both(curves: Mapping[str, F64]) -> Details:
    return {name: _plain(curve) for name, curve in curves.items()}


def _plain(curve: F64) -> list[float]:
    rounded: list[float] = np.round(curve, _DIGITS).tolist()
    return rounded


_BY_METRIC: Mapping[str, Draw] = {
    "ece": _confidence,
    "worst_group_accuracy": _groups,
    "top1": _flips,
    "flip_rate": _flips,
}
_BY_KIND: Mapping[Kind, Draw] = {
    "selective": _selective,
    "separation": _separation,
    "features": _spectrum,
    "paired_features": _spectrum,
    "directions": _spectrum,
}
