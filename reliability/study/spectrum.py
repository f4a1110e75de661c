"""Claim 7: quantization weakens directions of high rank."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.study.bench import BITS, PTQ, QAT, ROTATED, StudyBench, outcome
from reliability.study.controls import truncated, with_matched_noise
from reliability.study.finding import Effect, Finding
from reliability.types import Outcome

TREND = 0.5
"""A rank correlation that is a trend and not a shade of one."""
RANKS = (8, 16, 32, 64)


def noise_by_rank(bench: StudyBench) -> Iterator[Finding]:
    """7a and 7c: signal to quantization noise falls with rank, and rotation delays that."""
    metric = "noise_rank_correlation"
    for model in bench.models:
        plain, rotated = (bench.harm(model, f"{BITS[1]}-{method}", "id", metric).candidate for method in (PTQ, ROTATED))
        effects = [
            Effect(f"{BITS[1]}-{name}, value", metric, f.estimate, f.lower, f.upper)
            for name, f in ((PTQ, plain), (ROTATED, rotated))
        ]
        verdict: Outcome = "holds" if plain.lower >= TREND else "broken" if plain.upper < TREND else "inconclusive"
        yield Finding(
            claim="7a",
            title="Signal to quantization noise falls with rank",
            subject=model.name,
            verdict=verdict,
            effects=(effects[0],),
            controls=(),
            meaning="Weak directions drown first; what lives there is lost before accuracy shows it.",
        )
        later: Outcome = (
            "holds" if rotated.upper < plain.lower else "broken" if rotated.lower >= plain.upper else "inconclusive"
        )
        yield Finding(
            claim="7c",
            title="Rotation delays the fall",
            subject=model.name,
            verdict=later,
            effects=tuple(effects),
            controls=(),
            meaning="Rotation spreads the noise; whether it spares the weak directions is seen here.",
        )


def bands(bench: StudyBench) -> Iterator[Finding]:
    """7b and 7d: the first directions classify better after training, the tail worse; the effective rank."""
    for model in bench.models:
        recipe = f"{BITS[0]}-{QAT}"
        first = bench.harm(model, recipe, "id", "top1_first_8_directions")
        tail = bench.harm(model, recipe, "id", "top1_beyond_64_directions")
        pair = bench.pair(model, recipe, "id")
        doubles = {f"FP32 cut to rank {rank}": truncated(pair, rank) for rank in RANKS}
        doubles["FP32 with noise of the same spectrum"] = with_matched_noise(pair)
        errors = [Effect.harm(name, double.harm("ece", level=bench.level)) for name, double in doubles.items()]
        yield Finding(
            claim="7b",
            title="After training the first 8 directions alone classify better than FP32's",
            subject=model.name,
            verdict=outcome(first, "improves"),
            effects=(Effect.harm(recipe, first), Effect.harm(recipe, tail)),
            controls=(*errors, Effect.harm(f"{recipe}, whole", bench.harm(model, recipe, "id", "ece"))),
            meaning="If cutting FP32's own spectrum does the same, the grid is not what helps.",
        )
        rank = bench.harm(model, recipe, "id", "effective_rank_centred")
        yield Finding(
            claim="7d",
            title="The effective rank changes",
            subject=model.name,
            verdict=outcome(rank, "differs"),
            effects=(Effect.harm(recipe, rank),),
            controls=(Effect.harm(f"{recipe}, not centred", bench.harm(model, recipe, "id", "effective_rank")),),
            meaning="A summary number; it may stay while single directions come and go.",
        )
