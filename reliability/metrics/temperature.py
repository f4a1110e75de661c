"""Temperature scaling: how well confidence fits once the common scale of the logits is refitted.

A quantized model may differ from its original in nothing but the scale of its
logits, which one number repairs. Metrics registered here with
:func:`register_with_temperature` exist twice: of the logits as they are, and of
logits divided by the temperature that suits other images.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from reliability.metrics.answers import Answers, read_answers
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import Prepared
from reliability.metrics.registry import register, register_plain
from reliability.types import F64, Direction

_DEFINED = "some image to fit on is answered wrong, and the right class is better than its rivals on average"
# Enough for any logits a model makes; beyond, halving a bracket by magnitude is faster and sure to end.
_NEWTON_STEPS = 30
_LARGEST = np.finfo(np.float64).max


@register_plain("fitted", direction="neither", low=0.0, high=float("inf"), unit="ratio", defined=_DEFINED)
def temperature(fit: Answers, _judged: Answers) -> float:
    """Temperature that minimises the negative log-likelihood on the images to fit on; logits are divided by it.

    Above 1 the model was overconfident on those images, below 1 underconfident.

    Args:
        fit_logits: [F, C], after the logit scale.
        fit_labels: [F] in 0..C-1.
        logits, labels: [N, C] and [N] of the images that are judged; they do not enter.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1. No
            temperature is best: every label has its image's largest logit, so that a lower one is
            always better, or the labels' logits are not above the average logit, so that a
            higher one is.

    Conventions:
        The likelihood is concave in 1 / T and its maximum is found to rounding error.
        Multiplying the logits by a number multiplies the temperature by it.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
        Departure: Newton's method, kept inside a bracket, instead of a few steps of a
        general optimiser, so the value does not depend on a starting point.

    >>> round(temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1], [[2.0, 0.0]], [0]) * math.log(3), 12)
    2.0
    """
    return fit_temperature("temperature", fit)


def fit_temperature(metric: str, fit: Answers) -> float:
    """The best temperature for some answers.

    Raises:
        UndefinedMetricError: As :func:`temperature`, naming ``metric``.
    """
    # Powers of two cost no digits, and within 2 no square overflows.
    unit = math.ldexp(1.0, math.frexp(max(float(np.abs(block).max()) for _, block in fit.blocks()))[1] - 1)
    below, mean_below = _distances(fit, unit)
    lead = below - mean_below
    if not below.any():
        raise _no_optimum(metric, "every label already has the largest logit", "a temperature near 0")
    if lead.sum() <= 1e-12 * np.abs(lead).sum():
        raise _no_optimum(metric, "the labels' logits are no higher than the average", "an infinite temperature")
    sharpness = _root(fit, unit, start=-1.0 / float(mean_below.mean()))
    best = unit / sharpness if sharpness > 0.0 else math.inf
    if not 0.0 < best < math.inf:
        raise _no_optimum(metric, "the best one is beyond the range of floats", best)
    return best


def _no_optimum(metric: str, why: str, got: object) -> Exception:
    advice = "fit on more images, or on harder ones; with wrong labels or class order no temperature helps"
    return undefined(metric, "fit_logits, fit_labels", f"no temperature is best, for {why}", got, advice)


def _distances(fit: Answers, unit: float) -> tuple[F64, F64]:
    """[F] how far the label's logit, and the mean logit, lie from the largest (0 or less), in units."""
    below, mean_below = np.empty(len(fit)), np.empty(len(fit))
    for rows, block in _units_below_top(fit, unit):
        below[rows] = block[np.arange(len(block)), fit.labels[rows]]
        mean_below[rows] = block.mean(axis=1)
    return below, mean_below


def _units_below_top(fit: Answers, unit: float) -> Iterator[tuple[slice, F64]]:
    for rows, block in fit.blocks():
        block /= unit
        block -= block.max(axis=1, keepdims=True)
        yield rows, block


def _root(fit: Answers, unit: float, start: float) -> float:
    """Where the likelihood's slope along the sharpness, unit / T, changes sign; it rises throughout."""
    low, high, here = 0.0, math.inf, start
    for attempt in itertools.count():
        slope, curvature = _slope_and_curvature(fit, unit, here)
        low, high = (here, high) if slope < 0.0 else (low, here)
        newton = here - slope / curvature if curvature > 0.0 and attempt < _NEWTON_STEPS else math.nan
        if abs(newton - here) <= 1e-10 * here:
            return newton  # Newton's method squares its error, so this one is rounding alone
        here = newton if low < newton < high else _between(low, high)
        if not low < here < high:
            break
    return here


def _between(low: float, high: float) -> float:
    """A number between two others by magnitude, for roots of any magnitude."""
    if high == math.inf:
        return 1024.0 * low
    return math.sqrt(low) * math.sqrt(high) if low > 0.0 else high / 1024.0


def _slope_and_curvature(fit: Answers, unit: float, sharpness: float) -> tuple[float, float]:
    """First and second derivative of the summed negative log-likelihood."""
    slope = curvature = 0.0
    for rows, block in _units_below_top(fit, unit):
        with np.errstate(over="ignore"):
            share = np.exp(sharpness * block)
        share /= share.sum(axis=1, keepdims=True)
        mean = np.einsum("nc,nc->n", share, block)
        slope += float((mean - block[np.arange(len(block)), fit.labels[rows]]).sum())
        curvature += float((np.einsum("nc,nc,nc->n", share, block, block) - mean**2).sum())
    return slope, curvature


@dataclass(frozen=True)
class TemperedAnswers(Answers):
    """Answers after the logits were divided by a temperature; ``logits`` are as they were before.

    Attributes:
        temperature: What :meth:`blocks` divides by, after taking off the row's largest logit.
    """

    temperature: float

    def blocks(self) -> Iterator[tuple[slice, F64]]:
        """Rows of logits after temperature scaling, a cacheful at a time."""
        for rows, block in super().blocks():
            yield rows, _divide(block, self.temperature)


def _divide(block: F64, by: float) -> F64:
    with np.errstate(over="ignore"):
        block -= block.max(axis=1, keepdims=True)
        block /= by
    return np.maximum(block, -_LARGEST, out=block)


_TEMPERED: dict[tuple[int, int], TemperedAnswers] = {}


def at_fitted_temperature(metric: str, fit: Answers, judged: Answers) -> TemperedAnswers:
    """What ``judged`` becomes at the temperature that suits ``fit``.

    Raises:
        UndefinedMetricError: As :func:`temperature`, naming ``metric``.

    Conventions:
        Kept while both answers live, so that several metrics of them fit once. Predictions
        and ranks are those before: no temperature changes an order, rounding could.
    """
    key = id(fit), id(judged)
    if key not in _TEMPERED:
        _TEMPERED[key] = temper(judged, fit_temperature(metric, fit))
        for answers in (fit, judged):
            weakref.finalize(answers, _TEMPERED.pop, key, None)
    return _TEMPERED[key]


def temper(answers: Answers, temperature: float) -> TemperedAnswers:
    """Answers after dividing their logits by a temperature above 0."""
    confidence, surprise, brier = np.empty((3, len(answers)))
    for rows, block in answers.blocks():
        part = read_answers("temper", _divide(block, temperature), answers.labels[rows])
        confidence[rows], surprise[rows], brier[rows] = part.confidence, part.surprise, part.brier
    return TemperedAnswers(
        answers.logits, answers.labels, answers.predicted, confidence, answers.rank, surprise, brier, temperature
    )


def register_with_temperature(
    *, direction: Direction, low: float, high: float, unit: str, defined: str = "", depends_on_size: bool = False
) -> Callable[[Callable[[Answers], Prepared]], Callable[..., float]]:
    """Register a classification metric ``x`` of confidence, and ``x_after_temperature`` with it.

    Args:
        direction, low, high, unit, defined, depends_on_size: See :class:`~reliability.metrics.registry.Metric`.
    """

    def decorate(prepare: Callable[[Answers], Prepared]) -> Callable[..., float]:
        conditions = f"{_DEFINED}; {defined}" if defined else _DEFINED
        both = partial(register, direction=direction, low=low, high=high, unit=unit, depends_on_size=depends_on_size)
        both("fitted", defined=conditions)(_after_temperature(prepare))
        return both("classification", defined=defined)(prepare)

    return decorate


def _after_temperature(prepare: Callable[[Answers], Prepared]) -> Callable[[Answers, Answers], Prepared]:
    name = f"{prepare.__name__}_after_temperature"

    def after(fit: Answers, judged: Answers) -> Prepared:
        return prepare(at_fitted_temperature(name, fit, judged))

    after.__name__ = after.__qualname__ = name
    summary = (prepare.__doc__ or "").partition("\n")[0].rstrip(".")
    after.__doc__ = _AFTER.format(summary=summary, metric=prepare.__name__, name=name)
    return after


_AFTER = """{summary}; after temperature scaling.

    :func:`{metric}` of logits divided by the :func:`temperature` that suits other images.

    Args:
        fit_logits, fit_labels: [F, C] and [F], images of the same kind, to fit the temperature on.
        logits, labels: [N, C] and [N] of the images that are judged.

    Raises:
        UndefinedMetricError: As :func:`{metric}` and :func:`temperature`.

    Conventions:
        As :func:`{metric}`. Each model gets a temperature of its own, so what differs between
        two is more than the scale of their logits. Only the judged images are resampled:
        limits hold for this temperature, and do not say how it varies over images to fit on.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    >>> from reliability.metrics import get
    >>> logits, larger, labels = [[2.0, 0.0]] * 4, [[6.0, 0.0]] * 4, [0, 0, 0, 1]
    >>> before, after = (get("{name}").fn(x, labels, x, labels) for x in (logits, larger))
    >>> abs(before - after) < 1e-12
    True
"""
