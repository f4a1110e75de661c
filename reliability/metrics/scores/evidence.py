"""What a score may be given about images, and how it is read.

Readers turn what the caller passed into finite float64 arrays of agreeing
shapes, or raise an error that names the cause, so a score is written for clean
arrays and cannot forget a check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reliability.errors import UsageError
from reliability.metrics.checks import read_finite, read_integers, refuse, require_classes, undefined
from reliability.metrics.features import unit_rows
from reliability.types import F64, Embeddings

# Rounding of half-precision features moves a unit vector's norm by less than this.
_COSINE_SLACK = 1e-2

Shape = tuple[int, ...]

# What embeddings hold beyond cosines and scale, so what a score may need that judges them.
EMBEDDED = frozenset({"features", "text"})


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one model says about N images, for any score.

    Attributes:
        cosines: [N, C] of images and classes.
        logit_scale: Multiplies cosines to give logits.
        features: [N, D] image features. Their norm is not used: a zero-shot head never sees it.
        text: [C, D] class text features; their norm is not used either.
        patch_cosines: [N, P, C] of each image's patches and the classes.
        negative_cosines: [N, M] of images and labels that no familiar image has.
    """

    cosines: ArrayLike
    logit_scale: float
    features: ArrayLike | None = None
    text: ArrayLike | None = None
    patch_cosines: ArrayLike | None = None
    negative_cosines: ArrayLike | None = None

    @classmethod
    def of(cls, embeddings: Embeddings) -> Evidence:
        """All that embeddings hold: cosines, scale, features and text."""
        return cls(embeddings.cosines, embeddings.logit_scale, embeddings.image, embeddings.text)


@dataclass(frozen=True, eq=False)
class Training:
    """T labelled in-distribution images that are not evaluated, seen by the same model.

    Attributes:
        features: [T, D] image features; their norm is not used.
        labels: [T] in 0..C-1.
        cosines: [T, C] of images and classes.
        logit_scale: Multiplies cosines to give logits.
    """

    features: ArrayLike
    labels: ArrayLike
    cosines: ArrayLike
    logit_scale: float

    @classmethod
    def of(cls, embeddings: Embeddings) -> Training:
        """The images of some embeddings, all of which must have a label."""
        return cls(embeddings.image, embeddings.labels, embeddings.cosines, embeddings.logit_scale)


def missing(score: str, field: str, got: str = "nothing") -> UsageError:
    """The error for a score that was not given what it needs."""
    what, next = _MISSING[field]
    return UsageError(where=f"{score}: {field}", what=f"{score} needs {what}", got=got, next=next.format(score))


def read_evidence(
    score: str, evidence: Evidence, names: Iterable[str], trained: Mapping[str, Shape] | None = None
) -> dict[str, Any]:
    """The named fields as float64 arrays, features and text at norm 1; cosines and scale always.

    Args:
        score: Name of the score, for errors.
        names: Fields of the evidence.
        trained: Shapes of the training set the score was fitted on, by name.

    Raises:
        UsageError: A named field is None.
        UndefinedMetricError: Empty, non-finite or mismatched input, or a value no cosine can take.
    """
    values: dict[str, Any] = {}
    for name in dict.fromkeys(("cosines", "logit_scale", *names)):
        given = getattr(evidence, name)
        if given is None and name in _MISSING:
            raise missing(score, name)
        values[name] = _READERS[name](score, name, given)
    _require_agreement(score, {**(trained or {}), **shapes(values)})
    return values


def read_training(score: str, training: Training) -> dict[str, Any]:
    """All fields of a training set, read as evidence is.

    Raises:
        UndefinedMetricError: As for evidence, or labels outside 0..C-1.
    """
    names = ("cosines", "logit_scale", "features")
    values = {name: _READERS[name](score, f"training.{name}", getattr(training, name)) for name in names}
    values["labels"] = read_integers(score, "training.labels", training.labels, 0, values["cosines"].shape[1])
    _require_agreement(score, shapes(values, "training."))
    return values


def shapes(values: Mapping[str, Any], prefix: str = "") -> dict[str, Shape]:
    """Shapes of the arrays among the values, by prefixed name."""
    return {prefix + name: value.shape for name, value in values.items() if isinstance(value, np.ndarray)}


def _read_cosines(score: str, where: str, values: ArrayLike) -> F64:
    cosines = _read_similarities(score, where, values, 2)
    require_classes(score, where, cosines)
    return cosines


def _read_similarities(score: str, where: str, values: ArrayLike, ndim: int) -> F64:
    cosines = read_finite(score, where, values, ndim)
    refuse(
        score,
        where,
        cosines,
        np.abs(cosines) > 1.0 + _COSINE_SLACK,
        "cosines lie in [-1, 1]",
        "pass cosines of unit features, not logits; the logit scale is a separate argument",
    )
    return cosines


def _read_scale(score: str, where: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise undefined(score, where, "the scale must be positive and finite", value, "check the checkpoint")
    return float(value)


def _read_directions(score: str, where: str, values: ArrayLike) -> F64:
    return unit_rows(score, where, read_finite(score, where, values, 2))


_READERS: Mapping[str, Callable[[str, str, Any], Any]] = {
    "cosines": _read_cosines,
    "logit_scale": _read_scale,
    "features": _read_directions,
    "text": _read_directions,
    "patch_cosines": lambda score, where, values: _read_similarities(score, where, values, 3),
    "negative_cosines": lambda score, where, values: _read_similarities(score, where, values, 2),
}

_AXES: Mapping[str, tuple[str, ...]] = {
    "cosines": ("images", "classes"),
    "features": ("images", "dimensions"),
    "text": ("classes", "dimensions"),
    "patch_cosines": ("images", "patches", "classes"),
    "negative_cosines": ("images", "negative labels"),
    "training.cosines": ("training images", "classes"),
    "training.features": ("training images", "dimensions"),
    "training.labels": ("training images",),
}

_MISSING: Mapping[str, tuple[str, str]] = {
    "features": ("image features [N, D]", "pass features=, such as Embeddings.image"),
    "text": ("class text features [C, D]", "pass text=, such as Embeddings.text"),
    "patch_cosines": (
        "cosines of image patches and classes [N, P, C]",
        "project the patch tokens as the class token, and pass patch_cosines=",
    ),
    "negative_cosines": (
        "cosines of images and negative labels [N, M]",
        "embed words that name no familiar class, and pass negative_cosines=",
    ),
    "training": (
        "labelled in-distribution images to be fitted on",
        'call get_score("{}").fit(Training(...)) and use the function it returns',
    ),
}


def _require_agreement(score: str, shapes: Mapping[str, Shape]) -> None:
    """Refuse arrays that differ in the size of an axis they share."""
    seen: dict[str, tuple[int, str]] = {}
    for name, shape in shapes.items():
        for axis, size in zip(_AXES[name], shape, strict=True):
            other, first = seen.setdefault(axis, (size, name))
            if other != size:
                raise undefined(
                    score, f"{first}, {name}", f"inputs must agree in their number of {axis}",
                    f"{first} {other}, {name} {size}", "take all of them from one model on the same images and classes",
                )  # fmt: skip
