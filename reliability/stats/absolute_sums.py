"""Limits of the harm in a sum of absolute means, such as the expected calibration error.

The expected calibration error is a sum over bins of |gap|. A gap of 0 has a noisy
estimate whose absolute value is never 0, so a calibrated model seems to have an error,
and the harm of a candidate that truly has one seems smaller than it is. No bootstrap
sees that: its resamples are drawn around the noisy gaps. These limits avoid the absolute
value where it hurts.
"""

from __future__ import annotations

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

    Where the columns in which the reference's sign is not clear have a clear sum, and the
    candidate has less of it, they take the sign of that sum and the candidate's own: else a
    model with a small error of one sign in many bins could never be seen to improve.

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
    old, new = unit_sums(first, clusters), unit_sums(second, clusters)
    upper_old, upper_new = _signs(old, new)
    lower_new, lower_old = _signs(new, old)
    return SplitEvidence(
        float(np.abs(new.means).sum() - np.abs(old.means).sum()),
        below=_signed_mean(old, upper_old, new, upper_new),
        above=_signed_mean(old, lower_old, new, lower_new),
    )


def _signs(base: UnitSums, worse: UnitSums) -> tuple[F64, F64]:
    """Signs [K] for both with which the increase from ``base`` to ``worse`` is not understated."""
    own, pooled = _beyond(base, CLEAR), _pooled_sign(base, worse, ~_beyond(base, CLEAR))
    change = UnitSums(worse.values - base.values, base.sizes)
    leaning = np.where(_beyond(change, LEANING), np.sign(change.means), np.sign(worse.means))
    common = np.where(_beyond(worse, CLEAR), np.sign(worse.means), leaning)
    if pooled:
        return np.where(own, np.sign(base.means), pooled), np.sign(worse.means)
    return np.where(own, np.sign(base.means), common), np.where(own, np.sign(worse.means), common)


def _pooled_sign(base: UnitSums, worse: UnitSums, doubtful: NDArray[np.bool_]) -> float:
    """The sign that doubtful columns of ``base`` share, if their sum is clear and ``worse`` has less of it; else 0."""
    sums = [UnitSums(side.values[:, doubtful].sum(axis=1, keepdims=True), side.sizes) for side in (base, worse)]
    less = abs(sums[1].means[0]) < abs(sums[0].means[0])
    return float(np.sign(sums[0].means[0])) if less and _beyond(sums[0], CLEAR)[0] else 0.0


def _beyond(sums: UnitSums, errors: float) -> NDArray[np.bool_]:
    """[K] whether a mean is further from 0 than so many standard errors."""
    beyond: NDArray[np.bool_] = np.abs(sums.means) > errors * sums.errors
    return beyond


def _signed_mean(old: UnitSums, old_signs: F64, new: UnitSums, new_signs: F64) -> NormalEvidence:
    """Evidence on the sum of signed means, new minus old."""
    total = UnitSums((new.values @ new_signs - old.values @ old_signs)[:, None], old.sizes)
    return NormalEvidence(float(total.means[0]), float(total.errors[0]), len(old.sizes) - 1.0)


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
