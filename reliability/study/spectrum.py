"""Claim 7: quantization weakens directions of high rank, in features, in layers and in weights."""

from __future__ import annotations

import re

import numpy as np
from scipy.stats import spearmanr

from reliability.evaluate.storage.cache import Arrays
from reliability.metrics.features import principal_directions
from reliability.metrics.fourier import high_frequency_share
from reliability.metrics.prepared import PerImage, Prepared
from reliability.metrics.registry import get
from reliability.metrics.representation import noise_by_direction
from reliability.quant.recipe import FP32
from reliability.stats.noninferiority import relation_outcome
from reliability.study.bench import StudyBench, all_of, outcome
from reliability.study.controls import truncated, with_matched_noise
from reliability.study.finding import Effect, Judged, NotApplicableError
from reliability.study.names import NARROW, NOISE_ARM, PTQ, ROTATED
from reliability.study.sampling import difference_limits, value_limits
from reliability.types import F32, F64, Interval, Relation

TREND = 0.5
"""A rank correlation that is a trend and not a shade of one."""
RANKS = (8, 16, 32, 64)
CLEAR_DB = 10.0
"""A direction this far above its noise is clear."""
MOST_DB = 200.0
"""Of a model beside itself, which has no noise."""
_CORRELATION, _HIGH = "noise_rank_correlation", "high_frequency_energy"
_FEWEST_DIRECTIONS = 8


def noise_by_rank(bench: StudyBench, recipe: str) -> Judged:
    """7a: signal to quantization noise falls with rank on FP32's directions."""
    found = bench.harm(recipe, "id", _CORRELATION).candidate
    verdict, even = relation_outcome("at_least", found, TREND), _even_noise(bench, recipe)
    return Judged(
        verdict,
        effects=(Effect.of(f"{recipe}, value", _CORRELATION, found, "at_least", TREND),),
        controls=(even,),
        meaning={
            "holds": "Weak directions drown first; what lives there is lost before accuracy shows it."
            + (" Noise alike in all directions would do that, too." if even.lower >= TREND else ""),
            "broken": "The noise does not seek the weak directions here; do not look for harm there alone.",
            "inconclusive": "Whether weak directions drown first cannot be told here.",
        }[verdict],
    )


def _even_noise(bench: StudyBench, recipe: str) -> Effect:
    """How the figure looks for noise of the same energy that seeks no rank."""
    pair = bench.pair(recipe, "id")
    before, after = (side.part.image.astype(np.float64) for side in (pair.reference, pair.candidate))
    size = np.sqrt(((after - before) ** 2).mean())
    even = before + size * np.random.default_rng(0).normal(size=before.shape)
    found = value_limits(_correlation(before, even), bench.level)
    return Effect.of("FP32 with as much noise, alike in all directions, value", _CORRELATION, found)


def _correlation(before: F64 | F32, after: F64 | F32) -> Prepared:
    weighted = get(_CORRELATION).weighted
    assert weighted is not None, "a metric with limits"
    return weighted(before, after)


def noise_by_rank_in_layers(bench: StudyBench, recipe: str) -> Judged:
    """7a, per layer: in the pooled features of every layer, too."""
    before, after = bench.layers(FP32.name), bench.layers(recipe)
    features = {name: f"{name}/pooled" for name in layer_names(before, "pooled")}
    layers = {
        name: value_limits(_correlation(before[key], after[key]), bench.level)
        for name, key in features.items()
        if before[key].shape[1] >= _FEWEST_DIRECTIONS
    }
    if not layers:
        raise NotApplicableError(where=bench.model.name, what="no layer has enough directions", next="see its features")
    falling = sum(found.lower >= TREND for found in layers.values())
    return Judged(
        all_of([relation_outcome("at_least", found, TREND) for found in layers.values()]),
        effects=tuple(
            Effect.of(f"{recipe}, {name}, value", _CORRELATION, found, "at_least", TREND)
            for name, found in layers.items()
        ),
        controls=(),
        meaning=f"In {falling} of {len(layers)} layers the weak directions are the noisy ones.",
    )


def layer_names(arrays: Arrays, kind: str) -> list[str]:
    """Layers for which something is known, from the first to what the projection reads."""
    names = [key.removesuffix(f"/{kind}") for key in arrays if key.endswith(f"/{kind}")]
    return sorted(names, key=lambda name: (name == "penultimate", [int(n) for n in re.findall(r"\d+", name)], name))


def noise_in_weights(bench: StudyBench, recipe: str) -> Judged:
    """7a, weights: the weak singular directions of weights lose most."""
    found = bench.weights(recipe)
    names = [name for name in layer_names(found, "signal") if len(found[f"{name}/signal"]) >= _FEWEST_DIRECTIONS]
    trends = {name: _trend(found[f"{name}/signal"], found[f"{name}/noise"]) for name in names}
    values = np.array(list(trends.values()))
    falling, least = int((values >= TREND).sum()), min(trends, key=trends.__getitem__)
    middle = float(np.median(values))
    return Judged(
        "holds" if middle >= TREND else "broken",
        effects=(
            _exact(f"{recipe}, median of {len(values)} layers, value", middle, "at_least"),
            _exact(f"{recipe}, {least}, the least, value", trends[least]),
        ),
        controls=(),
        meaning=f"Counted, not sampled: in {falling} of {len(values)} layers the weak directions of the weight are the "
        "noisy ones, as they would be of any rounding that spreads its noise evenly.",
    )


def _trend(signal: F64, noise: F64) -> float:
    ratio = noise / signal
    return float(spearmanr(np.arange(len(ratio)), ratio).statistic) if noise.any() else 0.0


def _exact(name: str, value: float, relation: Relation | None = None) -> Effect:
    """What is counted, and so has no limits but itself."""
    return Effect(name, _CORRELATION, value, value, value, relation, TREND if relation else 0.0)


def rotation_delays(bench: StudyBench) -> Judged:
    """7c: rotation delays the fall: more directions stay clear of the noise."""
    plain, rotated = f"{NARROW}-{PTQ}", f"{NARROW}-{ROTATED}"
    clear = [_clear_directions(bench, recipe) for recipe in (plain, rotated)]
    gained = difference_limits(clear[0], clear[1], bench.level)
    trends = [bench.harm(recipe, "id", _CORRELATION).candidate for recipe in (plain, rotated)]
    verdict = relation_outcome("worsens", gained, 0.0)  # more than zero
    return Judged(
        verdict,
        effects=(
            Effect.of(f"directions {CLEAR_DB:g} dB above their noise, {rotated} less {plain}", "directions", gained),
            *(
                Effect.of(f"{recipe}, value", "directions", value_limits(one, bench.level))
                for recipe, one in zip((plain, rotated), clear, strict=True)
            ),
        ),
        controls=tuple(
            Effect.of(f"{recipe}, value", _CORRELATION, one)
            for recipe, one in zip((plain, rotated), trends, strict=True)
        ),
        meaning={
            "holds": "Rotation keeps more of the weak directions: choose it where they matter.",
            "broken": "Rotation keeps no more directions than plain rounding does here.",
            "inconclusive": "Whether rotation keeps more directions cannot be told here.",
        }[verdict],
    )


def _clear_directions(bench: StudyBench, recipe: str) -> PerImage:
    """Number of FP32's directions whose signal is well above the candidate's noise."""
    pair = bench.pair(recipe, "id")
    before, after = (side.part.image.astype(np.float64) for side in (pair.reference, pair.candidate))
    found = energies_by_picture(before, after)
    return PerImage(found, _count_clear)


def energies_by_picture(reference: F64, candidate: F64) -> F64:
    """Signal and noise of each picture along the reference's directions, side by side, [N, 2 R]."""
    directions = principal_directions(reference)[1].T
    signal = reference @ directions
    return np.hstack([signal**2, (candidate @ directions - signal) ** 2])


def _count_clear(means: F64) -> F64:
    signal, noise = np.hsplit(means, 2)
    counts: F64 = (signal >= noise * 10.0 ** (CLEAR_DB / 10.0)).sum(axis=1).astype(np.float64)
    return counts


def first_directions(bench: StudyBench, recipe: str) -> Judged:
    """7b: after training the first 8 directions alone classify better than FP32's."""
    first = bench.harm(recipe, "id", "top1_first_8_directions")
    arm = f"{recipe.partition('-')[0]}-{NOISE_ARM}"
    verdict = outcome(first, "improves")
    return Judged(
        verdict,
        effects=(Effect.harm(recipe, first, "improves"),),
        controls=(
            Effect.harm(f"{arm} (float, no grid)", bench.harm(arm, "id", "top1_first_8_directions")),
            *_doubles(bench, recipe),
        ),
        meaning={
            "holds": "The strong directions say more after training; if the noise arm's do too, the grid is not why.",
            "broken": "The strong directions alone say no more than before.",
            "inconclusive": "Whether the strong directions say more cannot be told here.",
        }[verdict],
    )


def _doubles(bench: StudyBench, recipe: str) -> list[Effect]:
    """What FP32 cut to a rank, or with noise of the same spectrum, does to the figures that are claimed to improve."""
    near = bench.pair(recipe, "ood/near") if "ood/near" in bench.engine.data.tasks else None
    found = []
    for task, metric, score in (("id", "top1", ""), ("id", "ece", ""), ("ood/near", "auroc", "mcm")):
        pair = bench.pair(recipe, "id") if task == "id" else near
        if pair is None:
            continue
        doubles = {f"FP32 cut to rank {rank}": truncated(pair, rank) for rank in RANKS}
        doubles["FP32 with noise of the same spectrum"] = with_matched_noise(pair)
        found += [Effect.harm(name, double.harm(metric, score, level=bench.level)) for name, double in doubles.items()]
        found.append(Effect.harm(f"{recipe} itself", bench.harm(recipe, task, metric, score)))
    return found


def tail_classifies_worse(bench: StudyBench, recipe: str) -> Judged:
    """7b: what lies beyond 64 directions classifies worse."""
    tail = bench.harm(recipe, "id", "top1_beyond_64_directions")
    arm = f"{recipe.partition('-')[0]}-{NOISE_ARM}"
    return Judged(
        outcome(tail, "worsens"),
        effects=(Effect.harm(recipe, tail, "worsens"),),
        controls=(Effect.harm(f"{arm} (float, no grid)", bench.harm(arm, "id", "top1_beyond_64_directions")),),
        meaning="Do not read small directions of a quantized model, as outlier scores and probes do, without a check.",
    )


def rank_changes(bench: StudyBench, recipe: str) -> Judged:
    """7d: the effective rank changes, or not."""
    rank = bench.harm(recipe, "id", "effective_rank_centred")
    return Judged(
        outcome(rank, "differs"),
        effects=(
            Effect.harm(recipe, rank, "differs"),
            Effect.of("FP32, value", rank.metric, rank.reference),
        ),
        controls=(Effect.harm(f"{recipe}, not centred", bench.harm(recipe, "id", "effective_rank")),),
        meaning="A summary number; it may stay while single directions come and go.",
    )


def low_frequencies(bench: StudyBench, recipe: str) -> Judged:
    """7e: the energy of feature maps moves to low spatial frequencies under training."""
    before, after = bench.layers(FP32.name), bench.layers(recipe)
    names = [name for name in layer_names(before, "energy") if _has_high(before[f"{name}/energy"])]
    if not names:
        raise NotApplicableError(
            where=bench.model.name, what="its maps are too small to hold high frequencies", next="see larger pictures"
        )
    bits = recipe.partition("-")[0]
    moved = {name: _moved(name, before, after, bench.level) for name in reversed(names)}
    controls = {
        control: _moved(names[-1], before, bench.layers(control), bench.level)
        for control in (f"{bits}-{PTQ}", f"{bits}-{NOISE_ARM}")
    }
    verdict = relation_outcome("improves", moved[names[-1]], 0.0)  # less than zero
    return Judged(
        verdict,
        effects=tuple(Effect.of(f"{recipe}, {name}", _HIGH, found, "improves") for name, found in moved.items()),
        controls=tuple(Effect.of(f"{name}, {names[-1]}", _HIGH, found) for name, found in controls.items()),
        meaning={
            "holds": "The last maps get smoother; fine detail may go first.",
            "broken": "The last maps get no smoother.",
            "inconclusive": "Whether the last maps get smoother cannot be told here.",
        }[verdict],
    )


def _has_high(energy: F64) -> bool:
    return bool(energy[:, 3:].sum() > 0.0)


def _moved(layer: str, before: Arrays, after: Arrays, level: float) -> Interval:
    """Change of the share of energy above half the Nyquist frequency."""
    first, second = (high_frequency_share(arrays[f"{layer}/energy"]) for arrays in (before, after))
    return difference_limits(first, second, level)


def signal_to_noise_db(reference: F64, candidate: F64) -> F64:
    """Signal to quantization noise along the reference's directions, [R] in decibels, at most ``MOST_DB``."""
    signal, noise = noise_by_direction(reference, candidate)
    found: F64 = -10.0 * np.log10(np.maximum(noise / signal, 10.0 ** (-MOST_DB / 10.0)))
    return found
