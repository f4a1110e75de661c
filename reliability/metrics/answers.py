"""What classification metrics need to know of every image, from one pass over its logits.

Logits may be large (50,000 images by 1,000 classes) and of any real dtype, so
they are read in blocks of rows that fit a processor's cache, each widened to
float64, checked and reduced before the next. No copy of the whole is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.metrics.checks import (
    read_integers,
    read_numbers,
    refuse,
    require_classes,
    require_same_length,
    undefined,
)
from reliability.types import F64, I64

# 2**17 float64 values are 1 MiB: a block and its temporaries stay in the cache of one core.
_BLOCK_VALUES = 2**17


@dataclass(frozen=True)
class Answers:
    """One model's answers to N images, and how they compare with the labels.

    Attributes:
        logits: [N, C] as given, every number finite; widen a block at a time by :meth:`blocks`.
        labels: [N] in 0..C-1, or -1 where an image has none.
        predicted: [N] class of the largest logit; a tie goes to the lowest class number.
        confidence: [N] largest probability, in [1 / C, 1].
        rank: [N] how many classes come before the label, 0 = predicted; C without a label.
            Of equal logits the lower class number comes first.
        surprise: [N] minus log-probability of the label, in nats; NaN without a label.
        brier: [N] squared distance of the probabilities to the label, in [0, 2]; NaN without a label.
    """

    logits: NDArray[Any]
    labels: I64
    predicted: I64
    confidence: F64
    rank: I64
    surprise: F64
    brier: F64

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of classes, C."""
        return int(self.logits.shape[1])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """[N] whether the predicted class is the label."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    def blocks(self) -> Iterator[tuple[slice, F64]]:
        """Rows, a cacheful at a time: where they stand, and a float64 copy that the caller may change."""
        return row_blocks(self.logits)


def read_answers(
    metric: str, logits: ArrayLike, labels: ArrayLike, *, unlabelled: bool = False, argument: str = "logits"
) -> Answers:
    """Read logits [N, C] and labels [N] in 0..C-1, and in one pass all that metrics ask of them.

    Args:
        metric: Who asks, for error messages.
        logits: [N, C], after the logit scale, with at least two classes.
        labels: [N]; -1 for none is allowed only with ``unlabelled``.
        argument: Name of ``logits`` in error messages.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, one class, or labels outside 0..C-1.

    Conventions:
        Logarithms are taken of ``1 + rest``, where ``rest`` sums the terms beside the
        largest, so a surprise of 1e-20 keeps its digits and one of 800 is finite.
    """
    numbers = read_numbers(metric, argument, logits, 2)
    require_classes(metric, argument, numbers)
    codes = read_integers(metric, "labels", labels, -1 if unlabelled else 0, numbers.shape[1])
    require_same_length(metric, **{argument: numbers, "labels": codes})
    n, classes = numbers.shape
    predicted, rank = np.empty(n, np.int64), np.empty(n, np.int64)
    confidence, surprise, brier = np.empty(n), np.empty(n), np.empty(n)
    for rows, block in row_blocks(numbers):
        refuse(metric, argument, block, ~np.isfinite(block), "every number must be finite", _OVERFLOW, rows.start)
        predicted[rows], confidence[rows], rank[rows], surprise[rows], brier[rows] = _reduce(block, codes[rows])
    missing = codes < 0
    rank[missing], surprise[missing], brier[missing] = classes, np.nan, np.nan
    return Answers(numbers, codes, predicted, confidence, rank, surprise, brier)


_OVERFLOW = "look for an overflow or a zero norm in the model that produced it"


def row_blocks(array: NDArray[Any]) -> Iterator[tuple[slice, F64]]:
    """Blocks of rows of [N, C], widened to float64 copies."""
    step = max(1, _BLOCK_VALUES // array.shape[1])
    for start in range(0, len(array), step):
        rows = slice(start, min(start + step, len(array)))
        yield rows, array[rows].astype(np.float64)


def _reduce(block: F64, labels: I64) -> tuple[I64, F64, I64, F64, F64]:
    """Prediction, confidence, rank, surprise and Brier score of each row; ``block`` is used up."""
    here = np.arange(len(block))
    of_label = block[here, labels][:, None]
    predicted = block.argmax(axis=1)
    rank = _rank(block, labels, of_label)
    with np.errstate(over="ignore"):  # beyond the range of floats, minus infinity is the right distance
        block -= block[here, predicted][:, None]
    below_top = block[here, labels].copy()
    np.exp(block, out=block)
    block[here, predicted] = 0.0
    rest = block.sum(axis=1)
    rest_squared = np.einsum("nc,nc->n", block, block)
    total = 1.0 + rest
    term = np.exp(below_top)
    # The label's miss is rest / total where it is the largest term, which keeps its digits there.
    is_top = predicted == labels
    miss = np.where(is_top, rest, total - term)
    others = np.where(is_top, rest_squared, np.maximum(1.0 + rest_squared - term**2, 0.0))
    return predicted, 1.0 / total, rank, np.log1p(rest) - below_top, (miss**2 + others) / total**2


def _rank(block: F64, labels: I64, of_label: F64) -> I64:
    above = np.count_nonzero(block > of_label, axis=1)
    level = np.count_nonzero(block >= of_label, axis=1) - above
    for row in np.flatnonzero(level > 1):
        above[row] += np.count_nonzero(block[row, : labels[row]] == of_label[row])
    rank: I64 = above.astype(np.int64)
    return rank


def require_labels(metric: str, answers: Answers) -> None:
    """Refuse answers to images without a label.

    Raises:
        UndefinedMetricError: Naming the first of them.
    """
    missing = np.flatnonzero(answers.labels < 0)
    if len(missing):
        raise undefined(
            metric, f"labels[{missing[0]}]", "every image needs a label here", -1, "leave out images without a label"
        )
