"""How much harm varies over range-setting draws or QAT seeds, apart from image sampling.

One draw's harm on one set of images mixes three sources: which images were drawn, which
draw it was, and how that draw meets those images. All draws see the same images, so the
first moves them together and does not show in their spread; the third does, and must be
taken off before the spread is blamed on the draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from reliability.stats.asymptotic import normal_score, read_vector, score_interval, undefined
from reliability.stats.evidence import NormalEvidence
from reliability.types import F64, Interval

# Covariances from a bootstrap are off by rounding only; more asymmetry than this is a mistake.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class DrawVariation:
    """Harm over R draws on the same images.

    Attributes:
        draws: R.
        mean: Expected harm over draws and images, from both sources of variation.
        between_draws: Standard deviation over draws of the harm on all images there could
            be, image sampling taken off. Its ``standard_error`` is the width in normal units.
        image_standard_error: Of the mean over these very draws, from image sampling alone.
        new_draw: The estimate is the mean; each limit holds for the harm that one further
            draw would show on all images there could be.
    """

    draws: int
    mean: Interval
    between_draws: Interval
    image_standard_error: float
    new_draw: Interval


def variation_over_draws(harms: ArrayLike, image_covariance: ArrayLike, level: float = 0.95) -> DrawVariation:
    """Take the harms of several draws apart: between draws, and image sampling.

    One-way random effects, draws crossed with images: harm of draw r = mean + draw effect +
    a part of the images that all draws share + a part of the images that is this draw's own.
    ``mean`` tests hypotheses about the expected harm of the recipe, ``between_draws`` those
    about the spread of its draws, and ``new_draw`` bounds the next draw.

    Args:
        harms: [R] one per draw, at least 2; some 5 to 20 make the limits useful.
        image_covariance: [R, R] covariance of these harms over samples of images, such as
            that of their replicates on common bootstrap resamples, or from
            :func:`image_covariance`. Diagonal where every draw saw images of its own.
        level: Of each one-sided limit.

    Raises:
        UndefinedMetricError: Fewer than two draws, numbers that are not finite, or a matrix
            that is not [R, R] or no covariance: asymmetric, or with a negative variance of a
            draw or of their mean.
        UsageError: A level outside (0.5, 1).

    Conventions:
        With S2 the sample variance of the harms, ``shared`` the mean covariance of two draws
        and ``own`` the mean variance less that: the draws' variance is S2 - own, at least 0,
        with the chi-square limits of S2 less own. S2 / R + shared is the variance of the mean,
        S2 (1 + 1/R) + shared that of a new draw about it, and each has Satterthwaite's degrees
        of freedom. S2 is at least ``own`` by its expectation, so where it falls short by luck
        ``own`` takes its place in every limit but the lower one of ``between_draws``. That
        errs on the wide side while draws vary less than images make them seem to, and a new
        draw's limits carry ``own`` once too often (up to sqrt(R + 1) times too wide where draws
        do not vary at all). ``own`` and ``shared`` count as known: use hundreds of images.
        Draws that give one model, image by image, have a spread of exactly 0. Draw effects are
        taken as normal, which few draws cannot check.

    Source:
        Searle, Casella & McCulloch, Variance Components, 1992, method of moments; Williams, A
        confidence interval for variance components, 1962 (also Tukey, 1951), for the standard
        deviation; Satterthwaite, An approximate distribution of estimates of variance
        components, 1946. Departures: the residual mean square counts as known, which turns
        Williams' F quantiles into 1; the floor on S2 above.

    >>> spread = variation_over_draws([0.01, 0.03, 0.02], np.full((3, 3), 1e-6))
    >>> round(spread.between_draws.estimate, 4), round(spread.new_draw.upper, 3)
    (0.01, 0.054)
    """
    normal_score("variation_over_draws", level)
    values = read_vector("variation_over_draws: harms", harms, 2)
    own, shared, image_error = _image_parts(image_covariance, len(values))
    observed, mean, count = float(values.var(ddof=1)), float(values.mean()), len(values)
    spread = max(observed, own)
    return DrawVariation(
        draws=count,
        mean=_limits(mean, spread / count, shared, count, level),
        between_draws=_deviation_limits(observed, own, count, level),
        image_standard_error=image_error,
        new_draw=_limits(mean, spread * (1.0 + 1.0 / count), shared, count, level),
    )


def image_covariance(contributions: ArrayLike) -> F64:
    """Covariance over samples of images of the harms of R draws, from each image's part in them.

    Args:
        contributions: [R, N] where draw r's harm is the mean of row r, such as the
            difference in correctness or in loss, or in DeLong placements. At least two images.

    Returns:
        [R, R]: the sample covariance of the rows over N.

    Raises:
        UndefinedMetricError: Not a finite matrix with two rows and two columns or more.

    >>> image_covariance([[0.0, 2.0], [0.0, 4.0]]).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    rows = np.asarray(contributions, dtype=np.float64)
    if rows.ndim != 2 or min(rows.shape) < 2:
        raise undefined(
            "image_covariance", "there must be two draws and two images at least", f"shape {rows.shape}", "add some"
        )
    read_vector("image_covariance: contributions, by rows", rows.ravel())
    covariance: F64 = np.cov(rows) / rows.shape[1]
    return covariance


def _image_parts(covariance: ArrayLike, draws: int) -> tuple[float, float, float]:
    """Image variance of a draw of its own and shared by all, and the error of the draws' mean."""
    matrix = np.asarray(covariance, dtype=np.float64)
    where = "variation_over_draws: image_covariance"
    if matrix.shape != (draws, draws):
        raise undefined(
            where, f"it must be {draws} x {draws}, one row per draw", f"shape {matrix.shape}", "pass all draws"
        )
    read_vector(f"{where}, by rows", matrix.ravel())
    variances, tolerance = np.diag(matrix), _ROUNDING * float(np.abs(matrix).max())
    if variances.min() < 0.0 or matrix.sum() < -tolerance or np.abs(matrix - matrix.T).max() > tolerance:
        raise undefined(where, "a covariance is symmetric and no variance is negative", matrix, "pass np.cov's result")
    covariances = float(matrix.sum() - variances.sum()) / (draws * (draws - 1))
    own = max(float(variances.mean()) - covariances, 0.0)
    # What rounding leaves of a difference of equal numbers is not image noise.
    own = own if own > tolerance else 0.0
    return own, max(covariances, 0.0), math.sqrt(max(float(matrix.sum()), 0.0)) / draws


def _limits(mean: float, spread: float, shared: float, draws: int, level: float) -> Interval:
    """Limits with variance ``spread`` on R - 1 degrees of freedom plus a known ``shared``."""
    degrees = (draws - 1) * (1.0 + shared / spread) ** 2 if spread > 0.0 else math.inf
    return NormalEvidence(mean, math.sqrt(spread + shared), degrees).limits(level)


def _deviation_limits(observed: float, own: float, draws: int, level: float) -> Interval:
    degrees = draws - 1
    lower = degrees * observed / chdtri(degrees, 1.0 - level) - own
    upper = degrees * max(observed, own) / chdtri(degrees, level) - own
    roots = (math.sqrt(max(float(variance), 0.0)) for variance in (observed - own, lower, upper))
    estimate, low, high = roots
    return score_interval(estimate, low, high, level)
