"""The metrics and scores that a threshold file may name, each with one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from reliability.evaluate.comparison.compare import judgeable_metrics
from reliability.evaluate.comparison.counted import COUNTED
from reliability.evaluate.running.efficiency import COSTS
from reliability.metrics.registry import get
from reliability.metrics.scores import EMBEDDED, all_scores


def nameable() -> dict[str, Mapping[str, str]]:
    """``metric`` and ``score`` to the names that bounds may use, for :func:`load_thresholds` and for editors.

    Conventions:
        Metrics are those with limits, figures counted in the coverage proof, and costs;
        scores are those that embeddings, or pictures to fit on, suffice for.
    """
    scores = {score.name: score.summary for score in all_scores() if score.needs <= EMBEDDED | {"training"}}
    return {"metric": {name: _summary(name) for name in judgeable_metrics()}, "score": scores}


def _summary(metric: str) -> str:
    if metric in COUNTED:
        return COUNTED[metric].summary
    return COSTS[metric].summary if metric in COSTS else get(metric).summary
