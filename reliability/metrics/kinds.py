"""What metrics take: one kind for each signature, with the reader that checks it.

A reader turns what the caller passed into what the metric's function receives,
or raises an error that names the cause. The registry calls it, so that no metric
can forget a check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.metrics.answers import Answers, read_answers, require_labels
from reliability.metrics.checks import (
    read_finite,
    read_integers,
    refuse,
    refuse_constant,
    require_same_length,
    undefined,
)
from reliability.metrics.matches import Matches, match
from reliability.types import F64, I64

Kind = Literal[
    "classification",
    "fitted",
    "selective",
    "separation",
    "grouped",
    "agreement",
    "grouped_agreement",
    "paired_scores",
    "features",
    "paired_features",
    "directions",
    "maps",
    "retrieval",
    "corruptions",
    "robustness",
    "shift",
]


def read_classification(metric: str, /, logits: ArrayLike, labels: ArrayLike) -> tuple[Answers]:
    """Logits [N, C] and labels [N] in 0..C-1."""
    return (read_answers(metric, logits, labels),)


def read_fitted(
    metric: str, /, fit_logits: ArrayLike, fit_labels: ArrayLike, logits: ArrayLike, labels: ArrayLike
) -> tuple[Answers, Answers]:
    """As ``classification``, after logits [F, C] and labels [F] of other images, to fit something on."""
    fit = read_answers(metric, fit_logits, fit_labels, argument="fit_logits")
    judged = read_answers(metric, logits, labels)
    _require_same_classes(metric, "logits", fit, judged)
    return fit, judged


def read_selective(metric: str, /, confidence: ArrayLike, correct: ArrayLike) -> tuple[F64, NDArray[np.bool_]]:
    """Confidences [N], higher = more confident, and whether each answer is right: booleans, or 0 and 1."""
    heights = read_finite(metric, "confidence", confidence, 1)
    right = read_integers(metric, "correct", correct, 0, 2)
    require_same_length(metric, confidence=heights, correct=right)
    return heights, right.astype(bool)


def read_separation(metric: str, /, scores_id: ArrayLike, scores_ood: ArrayLike) -> tuple[F64, F64]:
    """Scores [N] and [M] of familiar and unfamiliar images, not all of one value."""
    inside = read_finite(metric, "scores_id", scores_id, 1)
    outside = read_finite(metric, "scores_ood", scores_ood, 1)
    refuse_constant(metric, "scores_id", inside, outside)
    return inside, outside


def read_grouped(metric: str, /, logits: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> tuple[Answers, I64]:
    """As ``classification``, and groups [N] of whole numbers, 0 or more."""
    answers = read_answers(metric, logits, labels)
    members = read_integers(metric, "groups", groups, 0)
    require_same_length(metric, logits=answers.logits, groups=members)
    return answers, members


def read_agreement(
    metric: str, /, reference_logits: ArrayLike, candidate_logits: ArrayLike, labels: ArrayLike
) -> tuple[Answers, Answers]:
    """Logits [N, C] of both models, and labels [N] that may be -1: agreement needs no truth."""
    reference = read_answers(metric, reference_logits, labels, unlabelled=True, argument="reference_logits")
    candidate = read_answers(metric, candidate_logits, labels, unlabelled=True, argument="candidate_logits")
    _require_same_classes(metric, "candidate_logits", reference, candidate)
    return reference, candidate


def read_grouped_agreement(
    metric: str, /, reference_logits: ArrayLike, candidate_logits: ArrayLike, labels: ArrayLike, groups: ArrayLike
) -> tuple[Answers, Answers, I64]:
    """As ``agreement`` with every label known, and groups [N] of whole numbers, 0 or more."""
    reference, candidate = read_agreement(metric, reference_logits, candidate_logits, labels)
    require_labels(metric, reference)
    members = read_integers(metric, "groups", groups, 0)
    require_same_length(metric, labels=reference.labels, groups=members)
    return reference, candidate, members


def read_paired_scores(metric: str, /, reference_scores: ArrayLike, candidate_scores: ArrayLike) -> tuple[F64, F64]:
    """Scores [N] of both models on the same images."""
    reference = read_finite(metric, "reference_scores", reference_scores, 1)
    candidate = read_finite(metric, "candidate_scores", candidate_scores, 1)
    require_same_length(metric, reference_scores=reference, candidate_scores=candidate)
    return reference, candidate


def read_features(metric: str, /, features: ArrayLike) -> tuple[F64]:
    """Features [N, D], not all zero."""
    return (_read_features(metric, "features", features),)


def read_paired_features(
    metric: str, /, reference_features: ArrayLike, candidate_features: ArrayLike
) -> tuple[F64, F64]:
    """Features [N, D] and [N, E] of both models on the same images, neither all zero."""
    reference = _read_features(metric, "reference_features", reference_features)
    candidate = _read_features(metric, "candidate_features", candidate_features)
    require_same_length(metric, reference_features=reference, candidate_features=candidate)
    return reference, candidate


def read_directions(metric: str, /, features: ArrayLike, labels: ArrayLike, text: ArrayLike) -> tuple[F64, I64, F64]:
    """Image features [N, D] with labels [N] in 0..C-1, and text features [C, D] of the classes; none all zero."""
    image, classes = _read_features(metric, "features", features), _read_features(metric, "text", text)
    if image.shape[1] != classes.shape[1]:
        raise undefined(
            metric,
            "text",
            "images and texts must lie in one space",
            f"{image.shape[1]} and {classes.shape[1]} dimensions",
            "project both as the model does",
        )
    named = read_integers(metric, "labels", labels, 0, len(classes))
    require_same_length(metric, features=image, labels=named)
    return image, named, classes


def read_maps(metric: str, /, maps: ArrayLike) -> tuple[F64]:
    """Feature maps [N, H, W, D], one [H, W] per image and channel, or [N, H, W]; not all zero."""
    try:
        axes = np.ndim(maps)
    except (TypeError, ValueError, RuntimeError):
        axes = 4  # The reader says why it is no array.
    return (_read_features(metric, "maps", maps, 3 if axes == 3 else 4),)


def read_retrieval(
    metric: str, /, image_features: ArrayLike, image_ids: ArrayLike, text_features: ArrayLike, image_of_text: ArrayLike
) -> tuple[Matches]:
    """Image features [N, D] and their ids [N], text features [T, D], and for each text the id of its image [T].

    Ids are whole numbers or names, each image's its own. Where texts are true of several images,
    booleans [T, N] say of which. No feature is all zero.
    """
    image = _read_features(metric, "image_features", image_features)
    text = _read_features(metric, "text_features", text_features)
    return (match(metric, image, image_ids, text, image_of_text),)


def read_corruptions(metric: str, /, correct: ArrayLike) -> tuple[F64]:
    """Right answers (0 or 1) to N images under K corruptions at S severities [N, K, S]."""
    return (_read_marks(metric, "correct", correct, 3),)


def read_robustness(
    metric: str, /, correct: ArrayLike, clean: ArrayLike, baseline_correct: ArrayLike, baseline_clean: ArrayLike
) -> tuple[F64, F64, F64, F64]:
    """Right answers (0 or 1) of a model and a baseline under K corruptions at S severities [N, K, S], and clean [N]."""
    noisy = _read_marks(metric, "correct", correct, 3)
    base = _read_marks(metric, "baseline_correct", baseline_correct, 3)
    plain, base_plain = (
        _read_marks(metric, "clean", clean, 1),
        _read_marks(metric, "baseline_clean", baseline_clean, 1),
    )
    require_same_length(metric, correct=noisy, clean=plain, baseline_correct=base, baseline_clean=base_plain)
    if noisy.shape != base.shape:
        raise undefined(
            metric,
            "baseline_correct",
            "both models must have seen the same corruptions and severities",
            f"shapes {noisy.shape} and {base.shape}",
            "run the baseline on the same tasks",
        )
    return noisy, plain, base, base_plain


def read_shift(
    metric: str, /, correct: ArrayLike, clean: ArrayLike, fit_clean: ArrayLike, fit_shifted: ArrayLike
) -> tuple[F64, F64, F64, F64]:
    """Right answers (0 or 1) to shifted [N] and to clean [M] images, and accuracies [F] of other models on both.

    The other models' accuracies lie strictly between 0 and 1.
    """
    marks, plain = _read_marks(metric, "correct", correct, 1), _read_marks(metric, "clean", clean, 1)
    fit = {"fit_clean": fit_clean, "fit_shifted": fit_shifted}
    rates = {name: read_finite(metric, name, values, 1) for name, values in fit.items()}
    require_same_length(metric, **rates)
    for name, values in rates.items():
        outside = (values <= 0.0) | (values >= 1.0)
        refuse(metric, name, values, outside, "accuracies to fit on lie between 0 and 1", "leave out extreme models")
    return marks, plain, rates["fit_clean"], rates["fit_shifted"]


def _read_marks(metric: str, argument: str, values: ArrayLike, ndim: int) -> F64:
    marks = read_finite(metric, argument, values, ndim)
    wrong = (marks != 0.0) & (marks != 1.0)
    if wrong.any():
        place = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
        raise undefined(
            metric, f"{argument}[{place}]", "an answer is right (1) or wrong (0)", marks[wrong][0], "pass booleans"
        )
    return marks


def _read_features(metric: str, argument: str, values: ArrayLike, ndim: int = 2) -> F64:
    features = read_finite(metric, argument, values, ndim)
    if not features.any():
        raise undefined(
            metric,
            argument,
            "features that are all zero have no direction",
            "zeros",
            "look at the layer they came from",
        )
    return features


def _require_same_classes(metric: str, argument: str, first: Answers, second: Answers) -> None:
    if first.classes != second.classes:
        raise undefined(
            metric,
            argument,
            "both must score the same classes",
            f"{first.classes} and {second.classes} classes",
            "use one prompt set for both",
        )


@dataclass(frozen=True)
class Signature:
    """How metrics of a kind are called.

    Attributes:
        read: Name of the metric and the caller's arguments to checked inputs.
    """

    read: Callable[..., tuple[Any, ...]]

    @property
    def summary(self) -> str:
        """What goes in and when it is refused, one sentence."""
        return (self.read.__doc__ or "").strip()

    @property
    def python(self) -> inspect.Signature:
        """Signature of the metric as callers see it."""
        parameters = list(inspect.signature(self.read).parameters.values())[1:]
        return inspect.Signature(parameters)


KINDS: Mapping[Kind, Signature] = {
    "classification": Signature(read_classification),
    "fitted": Signature(read_fitted),
    "selective": Signature(read_selective),
    "separation": Signature(read_separation),
    "grouped": Signature(read_grouped),
    "agreement": Signature(read_agreement),
    "grouped_agreement": Signature(read_grouped_agreement),
    "paired_scores": Signature(read_paired_scores),
    "features": Signature(read_features),
    "paired_features": Signature(read_paired_features),
    "directions": Signature(read_directions),
    "maps": Signature(read_maps),
    "retrieval": Signature(read_retrieval),
    "corruptions": Signature(read_corruptions),
    "robustness": Signature(read_robustness),
    "shift": Signature(read_shift),
}
"""Every kind of metric, by name; a new one is a name above, a reader and a line here."""
