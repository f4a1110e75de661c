"""What a report needs to draw a figure: plain dicts beside the number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reliability.metrics.calibration import reliability_bins
from reliability.types import Embeddings, Task

Details = Mapping[str, Any]


def details(metric: str, task: Task, reference: Embeddings, candidate: Embeddings) -> Details:
    """What there is to draw for a metric, JSON-serialisable; empty for most."""
    draw = _DETAILS.get(metric)
    return {} if draw is None else draw(task, reference, candidate)


def _reliability(task: Task, reference: Embeddings, candidate: Embeddings) -> Details:
    """Bins of both reliability diagrams."""
    del task
    sides = {"reference": reference, "candidate": candidate}
    return {"reliability": {name: _diagram(part) for name, part in sides.items()}}


def _diagram(part: Embeddings) -> Details:
    """Bins as JSON can hold them: an empty bin, which has no mean, gets 0 beside its count of 0."""
    bins = reliability_bins(part.logits, part.labels)
    return {
        "count": bins.counts.tolist(),
        "confidence": np.nan_to_num(bins.confidence).tolist(),
        "accuracy": np.nan_to_num(bins.accuracy).tolist(),
    }


def _groups(task: Task, reference: Embeddings, candidate: Embeddings) -> Details:
    """Top-1 accuracy of each group under both models."""
    groups, names = reference.groups, task.group_names
    sides = {"reference": reference, "candidate": candidate}
    right = {side: part.logits.argmax(1) == part.labels for side, part in sides.items()}
    return {
        "groups": {
            names[group] if group < len(names) else str(group): {
                side: float(correct[groups == group].mean()) for side, correct in right.items()
            }
            for group in np.unique(groups).tolist()
        }
    }


_DETAILS: Mapping[str, Callable[[Task, Embeddings, Embeddings], Details]] = {
    "ece": _reliability,
    "worst_group_accuracy": _groups,
}
