"""Spurious cues: how much worse is a model where a habit of its training data misleads it?

Group 0 holds the images on which the cue agrees with the label (common); all
other groups together those on which it does not (counter).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reliability.metrics.answers import Answers
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import PerImage
from reliability.metrics.registry import register
from reliability.types import F64, I64

COMMON = 0
"""The group on which the spurious cue helps."""


@register(
    "grouped", direction="lower", low=-float("inf"), high=1.0, unit="fraction of common accuracy",
    defined="group 0 and another hold images, and an answer in group 0 is right",
)  # fmt: skip
def relative_spurious_gap(answers: Answers, groups: I64) -> PerImage:
    """Relative loss of accuracy from images where the spurious cue helps to those where it misleads.

    Args:
        logits: [N, C].
        labels: [N] in 0..C-1.
        groups: [N] group numbers: 0 = common, every other = counter.

    Raises:
        UndefinedMetricError: As :func:`~reliability.metrics.groups.worst_group_accuracy`, a
            side without images, or no right answer in group 0.

    Conventions:
        (A_common - A_counter) / A_common with A the accuracy over all images of a side, so
        large counter groups count more. Negative where the model does better on counter
        images. A resample on which a side is missing or A_common is 0 has no value (NaN).

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173, 2025. No departure.

    >>> relative_spurious_gap([[1.0, 0.0]] * 4, [0, 0, 0, 1], [0, 0, 1, 1])
    0.5
    """
    common = _common_side("relative_spurious_gap", groups)
    _require_right("relative_spurious_gap", "logits", answers, common=common)
    sides = np.column_stack([common, ~common]).astype(np.float64)

    def finish(means: F64) -> F64:
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy = means[:, :2] / means[:, 2:]
            return _where_finite(1.0 - accuracy[:, 1] / accuracy[:, 0])

    return PerImage(np.hstack([sides * answers.correct[:, None], sides]), finish)


@register(
    "grouped_agreement", direction="lower", low=-float("inf"), high=float("inf"), unit="fraction of reference accuracy",
    defined="group 0 and another hold images, and the reference is right on some of each",
)  # fmt: skip
def added_vulnerability(reference: Answers, candidate: Answers, groups: I64) -> PerImage:
    """How much more of its accuracy the candidate loses where the spurious cue misleads than where it helps.

    Args:
        reference_logits, candidate_logits: [N, C] of the two models on the same images.
        labels: [N] in 0..C-1.
        groups: [N] group numbers: 0 = common, every other = counter.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, a missing label, a side
            without images, or one on which the reference has no right answer.

    Conventions:
        d_counter - d_common with d = (A_reference - A_candidate) / A_reference on a side.
        Positive = quantization hurts more where the cue misleads; 0 for a model against
        itself. A resample on which a side has no right answer of the reference has no value (NaN).

    Source:
        Less Precise Can Be More Reliable, arXiv 2509.21173, 2025. No departure.

    >>> first, second = [1.0, 0.0], [0.0, 1.0]
    >>> added_vulnerability([first] * 4, [first, first, first, second], [0, 0, 0, 0], [0, 0, 1, 1])
    0.5
    """
    common = _common_side("added_vulnerability", groups)
    _require_right("added_vulnerability", "reference_logits", reference, common=common, counter=~common)
    sides = np.column_stack([common, ~common]).astype(np.float64)

    def finish(means: F64) -> F64:
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = means[:, 2:] / means[:, :2]
            return _where_finite(kept[:, 0] - kept[:, 1])

    return PerImage(np.hstack([sides * model.correct[:, None] for model in (reference, candidate)]), finish)


def _common_side(metric: str, groups: I64) -> NDArray[np.bool_]:
    """[N] which images are common.

    Raises:
        UndefinedMetricError: All or none of them are.
    """
    common: NDArray[np.bool_] = groups == COMMON
    if common.all() or not common.any():
        raise undefined(
            metric,
            "groups",
            f"images of group {COMMON} (common) and of another (counter) are needed",
            f"groups {', '.join(map(str, np.unique(groups)[:5]))}",
            f"number the groups so that the cue helps in group {COMMON} only",
        )
    return common


def _require_right(metric: str, argument: str, answers: Answers, **sides: NDArray[np.bool_]) -> None:
    for name, side in sides.items():
        if not answers.correct[side].any():
            raise undefined(
                metric,
                argument,
                "a relative loss needs some accuracy to lose",
                f"no right answer among {np.count_nonzero(side)} {name} images",
                "check the labels, or compare accuracies instead",
            )


def _where_finite(values: F64) -> F64:
    return np.where(np.isfinite(values), values, np.nan)
