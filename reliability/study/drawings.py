"""What the study's figures are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

from reliability.errors import UndefinedMetricError
from reliability.metrics.features import principal_directions
from reliability.quant.recipe import FP32
from reliability.study.bench import StudyBench
from reliability.study.finding import Curve, NotApplicableError
from reliability.study.gains import ACCURACY, CALIBRATION, DETECTION
from reliability.study.names import (
    CORRUPTIONS,
    FEATURES,
    FREQUENCIES,
    NARROW,
    NOISE_ARM,
    PARETO,
    PTQ,
    QAT,
    ROTATED,
    SEVERITIES,
    SEVERITY,
    SHIPPED,
    SIGN,
    VALUES,
    WEIGHTS,
    WIDE,
)
from reliability.study.spectrum import layer_names, signal_to_noise_db
from reliability.types import F64

DRAWN = (f"{WIDE}-{PTQ}", f"{WIDE}-{QAT}", f"{NARROW}-{PTQ}", f"{NARROW}-{ROTATED}", f"{NARROW}-{QAT}")
WIDTHS = (*SHIPPED, f"{WIDE}-{NOISE_ARM}", f"{NARROW}-{NOISE_ARM}", "w6a8-minmax", "w4a4-minmax")
"""More widths than claims need, for figures by bits."""
_WEIGHT_BINS = 20


def draw_all(bench: StudyBench) -> tuple[Curve, ...]:
    """Every curve of one model that can be had."""
    return tuple(curve for drawing in DRAWINGS for curve in _drawn(drawing, bench))


def _drawn(drawing: Callable[[StudyBench], Iterator[Curve]], bench: StudyBench) -> Iterator[Curve]:
    """What a figure has of this model; a finding says why the rest is not there."""
    with suppress(NotApplicableError, UndefinedMetricError):
        yield from drawing(bench)


def _usable(bench: StudyBench, recipes: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return bench.usable(recipes)
    except NotApplicableError:
        return ()


def features(bench: StudyBench) -> Iterator[Curve]:
    """Signal to noise by rank, and singular values of features, of FP32 and candidates."""
    reference = bench.pair(FP32.name, "id").reference.part.image.astype(np.float64)
    yield _values(bench, FP32.name, reference)
    for recipe in _usable(bench, DRAWN):
        candidate = bench.pair(recipe, "id").candidate.part.image.astype(np.float64)
        yield _values(bench, recipe, candidate)
        found = signal_to_noise_db(reference, candidate)
        yield Curve(FEATURES, bench.model.name, recipe, _ranks(found), _numbers(found))


def _values(bench: StudyBench, recipe: str, image: F64) -> Curve:
    """Singular values as root mean squares over pictures, relative to the largest."""
    values = principal_directions(image)[0]
    return Curve(VALUES, bench.model.name, recipe, _ranks(values), _numbers(values / values[0]))


def ece_change(bench: StudyBench) -> Iterator[Curve]:
    """FP32's signed calibration error beside each candidate's change, with its limits."""
    for recipe in _usable(bench, WIDTHS):
        signed, harm = bench.harm(recipe, "id", "signed_ece").reference.estimate, bench.harm(recipe, *CALIBRATION).harm
        yield Curve(SIGN, bench.model.name, recipe, (signed,) * 3, (harm.lower, harm.estimate, harm.upper))


def pareto(bench: StudyBench) -> Iterator[Curve]:
    """Accuracy beside calibration error, and beside AUROC, one point a recipe."""
    for recipe in (FP32.name, *_usable(bench, WIDTHS)):
        x = bench.harm(recipe, *ACCURACY).candidate.estimate
        for what in (CALIBRATION, DETECTION):
            if what[0] in bench.engine.data.tasks:
                y = bench.harm(recipe, *what).candidate.estimate
                yield Curve(PARETO, bench.model.name, recipe, (x,), (y,), panel=what[1])


def severity(bench: StudyBench) -> Iterator[Curve]:
    """Relative change of accuracy under each corruption by severity; none is severity 0."""
    for recipe in _usable(bench, DRAWN):
        if f"noise/{CORRUPTIONS[0]}/{SEVERITIES[0]}" not in bench.engine.data.tasks:
            return
        for corruption in CORRUPTIONS:
            tasks = ["id", *(f"noise/{corruption}/{level}" for level in SEVERITIES)]
            found = [bench.harm(recipe, task, "top1") for task in tasks]
            change = [-f.harm.estimate / max(f.reference.estimate, 1.0 / f.n) for f in found]
            yield Curve(SEVERITY, bench.model.name, recipe, (0.0, *map(float, SEVERITIES)), tuple(change), corruption)


def frequencies(bench: StudyBench) -> Iterator[Curve]:
    """Share of the last layer's energy in each band of spatial frequency, as decibels over FP32's."""
    before = bench.layers(FP32.name)
    for recipe in _usable(bench, DRAWN):
        after = bench.layers(recipe)
        for layer in layer_names(before, "energy"):
            first, second = (arrays[f"{layer}/energy"].sum(axis=0) for arrays in (before, after))
            held = (first > 0.0) & (second > 0.0)
            change = 10.0 * np.log10((second / second.sum())[held] / (first / first.sum())[held])
            bands = tuple(np.flatnonzero(held).astype(float).tolist())
            yield Curve(FREQUENCIES, bench.model.name, recipe, bands, _numbers(change), layer)


def weights(bench: StudyBench) -> Iterator[Curve]:
    """Signal to noise by relative rank, the mean over the tower's layers in decibels."""
    for recipe in _usable(bench, (f"{WIDE}-{PTQ}", f"{NARROW}-{PTQ}", f"{NARROW}-{QAT}", f"{NARROW}-{NOISE_ARM}")):
        found = bench.weights(recipe)
        grid = (np.arange(_WEIGHT_BINS) + 0.5) / _WEIGHT_BINS
        curves = []
        for layer in layer_names(found, "signal"):
            signal, noise = found[f"{layer}/signal"], found[f"{layer}/noise"]
            if len(signal) >= _WEIGHT_BINS and noise.all():
                at = (np.arange(len(signal)) + 0.5) / len(signal)
                curves.append(np.interp(grid, at, 10.0 * np.log10(signal / noise)))
        if curves:
            yield Curve(WEIGHTS, bench.model.name, recipe, _numbers(grid), _numbers(np.mean(curves, axis=0)))


def _ranks(values: F64) -> tuple[float, ...]:
    return tuple(map(float, range(1, len(values) + 1)))


def _numbers(values: F64) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


DRAWINGS: tuple[Callable[[StudyBench], Iterator[Curve]], ...] = (
    features, ece_change, pareto, severity, frequencies, weights,
)  # fmt: skip
"""What is drawn; a new figure is one function and one line here, and one in the report's."""
