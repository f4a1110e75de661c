"""Calibration error of every class's probability, not only of the predicted one's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from reliability.metrics.answers import Answers
from reliability.metrics.calibration import ECE_BINS, equal_width_bin
from reliability.metrics.prepared import Weights, require_shapes
from reliability.metrics.probabilities import softmax
from reliability.metrics.temperature import register_with_temperature
from reliability.types import F64

_UPPER = ECE_BINS - 1


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ece_classwise(answers: Answers) -> PerClass:
    """Classwise expected calibration error: the mean over classes of the error of the class's probability.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        Every image enters every class, with the class's probability and whether the class is its
        label, in the 15 bins of ``ece``. No probability is too small to count, so most of the
        value stems from the first bin, and it is at most 2 / C: compare only where C is the same.
        A class that no label has still has an error, its mean probability at least.
        Memory is that of one block of rows, and of the probabilities above 1/15.

    Source:
        Kull et al., Beyond Temperature Scaling, NeurIPS 2019 (classwise-ECE); Nixon et al.,
        Measuring Calibration in Deep Learning, 2019 (static calibration error). No departure.

    >>> ece_classwise([[0.0, 0.0], [0.0, 0.0]], [0, 0])
    0.5
    """
    return PerClass(answers)


@dataclass(frozen=True)
class PerClass:
    """Classwise calibration error of some answers.

    At most 14 classes of an image can have a probability above the first bin, so the gaps
    there are kept as a sparse matrix. Those of the first bin are made anew, a block of rows
    at a time.
    """

    answers: Answers

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.answers),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]."""
        require_shapes(weights, self.sizes)
        counts = np.asarray(weights[0], dtype=np.float64)
        first = np.zeros((len(counts), self.answers.classes))
        for rows, block in self.answers.blocks():
            gaps, probabilities = self._gaps(rows, block)
            first += counts[:, rows] @ np.where(probabilities <= _EDGE, gaps, 0.0)
        total = np.abs(first).sum(axis=1) + np.abs(counts @ self._upper_gaps).sum(axis=1)
        value: F64 = total / counts.sum(axis=1) / self.answers.classes
        return value

    def _gaps(self, rows: slice, block: F64) -> tuple[F64, F64]:
        probabilities = softmax(block)
        gaps = probabilities.copy()
        gaps[np.arange(len(block)), self.answers.labels[rows]] -= 1.0
        return gaps, probabilities

    @cached_property
    def _upper_gaps(self) -> csr_array:
        """[N, C * 14] gaps above the first bin, by class and bin."""
        found = []
        for rows, block in self.answers.blocks():
            gaps, probabilities = self._gaps(rows, block)
            row, column = np.nonzero(probabilities > _EDGE)
            place = column * _UPPER + equal_width_bin(probabilities[row, column], ECE_BINS) - 1
            found.append((gaps[row, column], row + rows.start, place))
        values, row, place = (np.concatenate(part) for part in zip(*found, strict=True))
        return csr_array((values, (row, place)), shape=(len(self.answers), self.answers.classes * _UPPER))


_EDGE = 1 / ECE_BINS
