"""Figures with a known answer, asked once before a metric or a score judges anything.

Both models are measured by the same code. A figure that is turned round there (the
wrong class counts as positive, higher reads as better) shows in no comparison of the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from reliability.errors import UndefinedMetricError
from reliability.metrics.registry import Metric, value_of
from reliability.metrics.scores.evidence import EMBEDDED, Evidence
from reliability.metrics.scores.registry import Score

Answer = tuple[tuple[Any, ...], float]
"""Arguments of a metric, and its value."""

_RIGHT, _WRONG = [[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]]
_LABELS = [0, 1]
_LOG = math.log1p(math.exp(-2.0))
_SURE = 1.0 / (1.0 + math.exp(-2.0))
_HIGH, _SPREAD, _LOW = [0.0] + [2.0] * 19, [1.0] * 10 + [-1.0] * 10, [3.0] * 20

KNOWN: Mapping[str, tuple[Answer, Answer]] = {
    "top1": (((_RIGHT, _LABELS), 1.0), ((_WRONG, _LABELS), 0.0)),
    "nll": (((_RIGHT, _LABELS), _LOG), ((_WRONG, _LABELS), 2.0 + _LOG)),
    "brier": (((_RIGHT, _LABELS), 2 * (1 - _SURE) ** 2), ((_WRONG, _LABELS), 2 * _SURE**2)),
    "ece": (((_RIGHT, _LABELS), 1 - _SURE), ((_WRONG, _LABELS), _SURE)),
    "flip_rate": (((_RIGHT, _RIGHT, _LABELS), 0.0), ((_RIGHT, _WRONG, _LABELS), 1.0)),
    "negative_flip_rate": (((_WRONG, _RIGHT, _LABELS), 0.0), ((_RIGHT, _WRONG, _LABELS), 1.0)),
    "worst_group_accuracy": (((_RIGHT, _LABELS, [0, 1]), 1.0), (([[2.0, 0.0]] * 2, _LABELS, [0, 1]), 0.0)),
    "group_gap": (((_RIGHT, _LABELS, [0, 1]), 0.0), (([[2.0, 0.0]] * 2, _LABELS, [0, 1]), 1.0)),
    "auroc": ((([3.0, 2.0], [1.0, 2.0]), 0.875), (([1.0, 2.0], [3.0, 2.0]), 0.125)),
    # Of 20 familiar scores one is low, so that accepting 95 % of them lets no unfamiliar one in.
    "fpr95": (((_HIGH, _SPREAD), 0.0), ((_HIGH, _LOW), 1.0)),
    "fpr95_ood_positive": (((_HIGH, _SPREAD), 0.05), ((_HIGH, _LOW), 1.0)),
}
"""A good case and a bad one for each metric: its value, and with both the sign of harm."""

_TOLERANCE = 1e-9
_SURE_AND_UNSURE = np.array([[0.9, 0.1, 0.0, 0.1], [0.3, 0.3, 0.3, 0.3]])


@lru_cache(maxsize=256)
def require_known_answer(metric: Metric) -> None:
    """Ask a metric for what is known.

    Raises:
        UndefinedMetricError: It gives something else, or harm has the wrong sign.
    """
    if metric.name not in KNOWN:
        return
    assert metric.weighted is not None, "only metrics with limits are judged"
    values = []
    for inputs, answer in KNOWN[metric.name]:
        values.append(value_of(metric.name, metric.weighted(*inputs)))
        if not math.isclose(values[-1], answer, abs_tol=_TOLERANCE):
            raise _wrong(f"metric {metric.name}", f"{values[-1]:g} where {answer:g} is right")
    if metric.harm(*values) <= 0:
        raise _wrong(f"metric {metric.name}", f"{values[1]:g} counted as no worse than {values[0]:g}")


@lru_cache(maxsize=256)
def require_known_order(score: Score) -> None:
    """Ask a score that needs no fit to rank a sure answer above an unsure one.

    Raises:
        UndefinedMetricError: It does not.
    """
    if not score.needs <= EMBEDDED or score.needs & {"features", "training"}:
        return
    sure, unsure = score.fn(Evidence(_SURE_AND_UNSURE, 10.0))
    if not sure > unsure:
        raise _wrong(f"score {score.name}", f"{sure:g} for a sure answer, {unsure:g} for an unsure one")


def _wrong(where: str, got: str) -> UndefinedMetricError:
    return UndefinedMetricError(
        where=where, what="the installed code does not give the known answer, so it judges nothing", got=got,
        next="install quant-reliability anew; if it was changed on purpose, its tests say what this breaks",
    )  # fmt: skip
