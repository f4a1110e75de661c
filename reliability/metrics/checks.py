"""Reading of metric inputs: what cannot be measured becomes an error that names its cause.

The registry applies these readers before any metric sees its input, so a metric
is written for clean float64 and int64 arrays and cannot forget a check.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UndefinedMetricError
from reliability.types import F64, I64


def undefined(metric: str, where: str, rule: str, got: object, next: str) -> UndefinedMetricError:
    """The error for an input on which a metric has no value.

    Args:
        metric: Name of the metric or score.
        where: The argument at fault, with the first offending index if there is one.
        rule: What the input must be.
        got: The offending value.
        next: What to do about it.
    """
    return UndefinedMetricError(where=f"{metric}: {where}", what=f"{metric} is undefined: {rule}", got=got, next=next)


def read_numbers(metric: str, argument: str, values: ArrayLike, ndim: int) -> NDArray[Any]:
    """Anything NumPy reads as a non-empty array of real numbers with ``ndim`` axes."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        # RuntimeError and TypeError: tensors on a device, with a gradient, or in a type NumPy lacks.
        raise undefined(
            metric,
            argument,
            "the input cannot be read as an array",
            f"{type(error).__name__}: {error}",
            "pass an array of numbers in host memory, detached from any gradient",
        ) from error
    if array.dtype.kind not in "biuf" and array.size:
        raise undefined(metric, argument, "the input must be real numbers", f"dtype {array.dtype}", "convert it first")
    if array.ndim != ndim:
        raise undefined(metric, argument, f"the input must have {ndim} axes", f"shape {array.shape}", "reshape it")
    if array.size == 0:
        raise undefined(metric, argument, "there are no images", f"shape {array.shape}", "check what was selected")
    return array


def read_finite(metric: str, argument: str, values: ArrayLike, ndim: int) -> F64:
    """Read finite numbers as float64; the first NaN or infinity is named."""
    array = read_numbers(metric, argument, values, ndim).astype(np.float64)
    _refuse(
        metric,
        argument,
        array,
        ~np.isfinite(array),
        "every number must be finite",
        "look for an overflow or a zero norm in the model that produced it",
    )
    return array


def read_integers(metric: str, argument: str, values: ArrayLike, low: int, high: int | None = None) -> I64:
    """Read [N] whole numbers in ``low <= x < high`` as int64; floats are taken if they are whole."""
    array = read_numbers(metric, argument, values, 1)
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(array) & (array == np.floor(array))
        outside = (array < low) | (array >= (2**62 if high is None else high))
    _refuse(metric, argument, array, ~whole, "every number must be whole", "pass integer codes")
    allowed = f"at least {low}" if high is None else f"in {low}..{high - 1}"
    _refuse(
        metric,
        argument,
        array,
        outside,
        f"every number must be {allowed}",
        "leave out images that have no such code (-1), and check the order of the classes",
    )
    return array.astype(np.int64)


def read_logits(metric: str, argument: str, values: ArrayLike) -> F64:
    """Read finite logits or cosines [N, C] with at least two classes."""
    logits = read_finite(metric, argument, values, 2)
    if logits.shape[1] < 2:
        raise undefined(
            metric, argument, "one class leaves nothing to choose", f"shape {logits.shape}", "pass all class columns"
        )
    return logits


def read_classification(metric: str, /, logits: ArrayLike, labels: ArrayLike) -> tuple[F64, I64]:
    """Logits [N, C] and labels [N] in 0..C-1."""
    scores = read_logits(metric, "logits", logits)
    codes = read_integers(metric, "labels", labels, 0, scores.shape[1])
    _require_same_length(metric, logits=scores, labels=codes)
    return scores, codes


def read_grouped(metric: str, /, logits: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> tuple[F64, I64, I64]:
    """Logits [N, C], labels [N] in 0..C-1 and groups [N], each 0 or more."""
    scores, codes = read_classification(metric, logits, labels)
    members = read_integers(metric, "groups", groups, 0)
    _require_same_length(metric, logits=scores, groups=members)
    return scores, codes, members


def read_agreement(
    metric: str, /, reference_logits: ArrayLike, candidate_logits: ArrayLike, labels: ArrayLike
) -> tuple[F64, F64, I64]:
    """Logits of both models [N, C], and labels [N] that may be -1: agreement needs no truth."""
    reference = read_logits(metric, "reference_logits", reference_logits)
    candidate = read_logits(metric, "candidate_logits", candidate_logits)
    codes = read_integers(metric, "labels", labels, -1, reference.shape[1])
    _require_same_length(metric, reference_logits=reference, candidate_logits=candidate, labels=codes)
    if reference.shape != candidate.shape:
        raise undefined(
            metric,
            "candidate_logits",
            "both models must score the same classes",
            f"{reference.shape[1]} and {candidate.shape[1]} classes",
            "use one prompt set for both models",
        )
    return reference, candidate, codes


def read_separation(metric: str, /, scores_id: ArrayLike, scores_ood: ArrayLike) -> tuple[F64, F64]:
    """Scores [N] and [M] of familiar and unfamiliar images, not all of one value."""
    inside = read_finite(metric, "scores_id", scores_id, 1)
    outside = read_finite(metric, "scores_ood", scores_ood, 1)
    if min(inside.min(), outside.min()) == max(inside.max(), outside.max()):
        raise undefined(
            metric,
            "scores_id[0] and all others",
            "constant scores rank nothing",
            f"{inside[0]} for every image",
            "look for saturation: a score rounded or squashed to one value",
        )
    return inside, outside


def _refuse(metric: str, argument: str, array: NDArray[Any], bad: NDArray[np.bool_], rule: str, next: str) -> None:
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise undefined(metric, f"{argument}[{', '.join(map(str, first))}]", rule, array[first], next)


def _require_same_length(metric: str, **arrays: NDArray[Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise undefined(
            metric,
            ", ".join(lengths),
            "inputs must cover the same images",
            ", ".join(f"{name} {length}" for name, length in lengths.items()),
            f"row {min(lengths.values())} is the first without a partner; pass one row per image everywhere",
        )
