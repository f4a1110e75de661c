"""Limits of the harm in a sum of absolute means, such as the expected calibration error.

The expected calibration error is a sum over bins of |gap|. A gap of 0 has a noisy
estimate whose absolute value is never 0, so a calibrated model seems to have an error,
and the harm of a candidate that truly has one seems smaller than it is. No bootstrap
sees that: its resamples are drawn around the noisy gaps. These limits avoid the absolute
value where it hurts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.evidence import NormalEvidence
from reliability.stats.means import SplitEvidence, UnitSums, unit_sums
from reliability.types import F64

CLEAR = 3.0
"""Standard errors beyond which the sign of a mean counts as known: of 15 bins all at once with 96 %."""
LEANING = 1.5
"""Standard errors of the difference beyond which it tells the sign, where neither mean does."""


def absolute_sum_harm(reference: ArrayLike, candidate: ArrayLike, clusters: ArrayLike | None = None) -> SplitEvidence:
    """Evidence on the harm H = sum_k |mean_k(candidate)| - sum_k |mean_k(reference)|.

    For any sign t, ``t mean(reference)`` is at most ``|mean(reference)|``. So H is at most

        sum_k s_k mean_k(candidate) - t_k mean_k(reference)

    with s the candidate's true signs and t any. The upper limit takes, column by column,

    - both models' own signs, where the reference's is clear;
    - else the candidate's for both, where that is clear;
    - else the sign of the difference for both, where it leans to one side (what is added is
      then ``|mean(candidate) - mean(reference)|``, which is never less than the harm);
    - else the candidate's for both.

    Where the reference's mean is truly 0 its estimate then adds noise of either sign and no
    bias, and noise that both models share cancels. The lower limit is the same with the
    models exchanged. Given the signs, both are plain means over images.

    Args:
        reference, candidate: [N, K] statistics of each image under both models, such as the
            gap between confidence and correctness in the column of the image's bin and 0 in
            all others. Zeros for the reference give limits of the candidate alone.
        clusters: [N] ids of images that are not independent, or None.

    Returns:
        The estimate is the plain difference, which always lies between the limits.

    Raises:
        UndefinedMetricError: Numbers that are not finite, fewer than two images, or too few clusters.
        UsageError: Arrays of different shapes, or ids that are not one per image.

    Conventions:
        A sign is clear beyond ``CLEAR`` standard errors and a difference leans beyond
        ``LEANING``. Limits err on the cautious side (95 to 100 % coverage at 95 %, by
        ``benchmarks.coverage``), most where both models are nearly calibrated: near 0 no method
        has unbiased limits of this metric. For a model against itself both limits equal 0.

    Source:
        Cai & Low, Testing composite hypotheses, Hermite polynomials and optimal estimation of a
        nonsmooth functional, 2011, for why a sum of absolute means cannot be estimated without
        bias; Andrews & Soares, Inference for parameters defined by moment inequalities, 2010,
        for letting the data say which parts are clear of 0. Departure: here the same signs serve
        both models wherever one of them is in doubt.
    """
    first, second = _read("reference", reference), _read("candidate", candidate)
    if first.shape != second.shape:
        raise UsageError(
            where="absolute_sum_harm",
            what="both models need the same images and columns",
            got=f"shapes {first.shape} and {second.shape}",
            next="pass one row per image for both",
        )
    sums = unit_sums(np.hstack([first, second, second - first]), clusters)
    old, new, change = (_Means(*part) for part in np.split(np.array([sums.means, sums.errors]), 3, axis=1))
    upper_old, upper_new = _signs(old, new, change)
    lower_new, lower_old = _signs(new, old, _Means(-change.value, change.error))
    return SplitEvidence(
        float(np.abs(new.value).sum() - np.abs(old.value).sum()),
        below=_mean(sums, upper_old, upper_new),
        above=_mean(sums, lower_old, lower_new),
    )


class _Means(NamedTuple):
    """Column means [K] and their standard errors."""

    value: F64
    error: F64

    @property
    def sign(self) -> F64:
        return np.sign(self.value)

    def beyond(self, errors: float) -> NDArray[np.bool_]:
        return np.abs(self.value) > errors * self.error


def _signs(base: _Means, worse: _Means, change: _Means) -> tuple[F64, F64]:
    """Signs [K] for ``base`` and for ``worse`` with which the increase from one to the other is not understated."""
    leaning = np.where(change.beyond(LEANING), change.sign, worse.sign)
    common = np.where(worse.beyond(CLEAR), worse.sign, leaning)
    own = base.beyond(CLEAR)
    return np.where(own, base.sign, common), np.where(own, worse.sign, common)


def _mean(sums: UnitSums, reference_signs: F64, candidate_signs: F64) -> NormalEvidence:
    """Evidence on the mean of signed statistics, candidate minus reference."""
    signs = np.concatenate([-reference_signs, candidate_signs, np.zeros_like(candidate_signs)])
    total = UnitSums((sums.values @ signs)[:, None], sums.sizes)
    return NormalEvidence(float(total.means[0]), float(total.errors[0]), len(sums.sizes) - 1.0)


def _read(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise UndefinedMetricError(
            where=f"absolute_sum_harm: {name}",
            what="the statistics must be finite numbers [N, K]",
            got=f"shape {array.shape}, {(~np.isfinite(array)).sum()} non-finite",
            next="see where they lost their value",
        )
    return array
