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
    """Read finite numbers as float64, the caller's own array if it is one; the first NaN or infinity is named."""
    array = read_numbers(metric, argument, values, ndim).astype(np.float64, copy=False)
    refuse(
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
    refuse(metric, argument, array, ~whole, "every number must be whole", "pass integer codes")
    allowed = f"at least {low}" if high is None else f"in {low}..{high - 1}"
    refuse(
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
    require_classes(metric, argument, logits)
    return logits


def refuse(
    metric: str, argument: str, array: NDArray[Any], bad: NDArray[np.bool_], rule: str, next: str, first_row: int = 0
) -> None:
    """Raise for the first ``bad`` element of an array whose rows count from ``first_row``."""
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        row, *rest = first
        place = ", ".join(map(str, [row + first_row, *rest]))
        raise undefined(metric, f"{argument}[{place}]", rule, array[first], next)


def require_classes(metric: str, argument: str, logits: NDArray[Any]) -> None:
    """Refuse [N, C] with fewer than two classes."""
    if logits.shape[1] < 2:
        raise undefined(
            metric, argument, "one class leaves nothing to choose", f"shape {logits.shape}", "pass all class columns"
        )


def require_same_length(metric: str, **arrays: NDArray[Any]) -> None:
    """Refuse arrays of different lengths, which cannot be partners row by row."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise undefined(
            metric,
            ", ".join(lengths),
            "inputs must cover the same images",
            ", ".join(f"{name} {length}" for name, length in lengths.items()),
            f"row {min(lengths.values())} is the first without a partner; pass one row per image everywhere",
        )


def refuse_constant(metric: str, argument: str, *scores: F64) -> None:
    """Refuse scores that are all of one value, over all the arrays together; the first has the name ``argument``."""
    if min(values.min() for values in scores) == max(values.max() for values in scores):
        raise undefined(
            metric,
            f"{argument}[0] and all others",
            "constant scores rank nothing",
            f"{scores[0][0]} for every image",
            "look for saturation: a score rounded or squashed to one value",
        )
