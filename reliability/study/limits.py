"""Claims 5, 6 and 8: where quantization does not help, or reverses."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.study.bench import BITS, CORRUPTIONS, NOISE, PTQ, ROTATED_QAT, SEVERITIES, StudyBench, outcome
from reliability.study.finding import Effect, Finding

TRIFLE = 0.005
"""A gain of accuracy that nobody would call one."""
GAP_MARGIN = 0.010
TUNED = "tunescale"


def no_gain_under_shift(bench: StudyBench) -> Iterator[Finding]:
    """Claim 5, first half: covariate shift sees no gain."""
    shifts = [name for name, task in bench.engine.data.tasks.items() if task.role == "shift"]
    for model in bench.models:
        recipe = f"{BITS[0]}-{PTQ}"
        found = {name: bench.harm(model, recipe, name, "top1") for name in shifts}
        verdicts = [outcome(f, "not_better", TRIFLE) for f in found.values()]
        gain = min(found, key=lambda name: found[name].harm.estimate)
        yield Finding(
            claim="5",
            title="Covariate shift sees no gain",
            subject=model.name,
            verdict="broken" if "broken" in verdicts else "inconclusive" if "inconclusive" in verdicts else "holds",
            effects=(Effect.harm(f"{recipe} on {gain}, the best for it", found[gain]),),
            controls=tuple(Effect.harm(f"{recipe} on {name}", f) for name, f in found.items() if name != gain),
            meaning="Do not count on quantization to help with pictures of another kind.",
        )


def spurious_gap(bench: StudyBench) -> Iterator[Finding]:
    """Claim 5, second half: the spurious gap grows from W8A8 to W4A8, and rotation with training holds it at W8A8."""
    task, metric = "spurious/background", "relative_spurious_gap"
    for model in bench.models:
        wide, narrow = (f"{bits}-{PTQ}" for bits in BITS)
        grown = bench.harm(model, narrow, task, metric, against=wide)
        yield Finding(
            claim="5",
            title="The spurious gap grows from W8A8 to W4A8",
            subject=model.name,
            verdict=outcome(grown, "worsens"),
            effects=(Effect.harm(f"{narrow} against {wide}", grown),),
            controls=(
                Effect.harm(f"{narrow}, added vulnerability", bench.harm(model, narrow, task, "added_vulnerability")),
            ),
            meaning="Fewer bits, more leaning on the cue: test on pictures against it before going below eight.",
        )
        rotated = f"{BITS[0]}-{ROTATED_QAT}"
        held = bench.harm(model, rotated, task, metric)
        yield Finding(
            claim="5",
            title="Rotation and training do not widen the spurious gap at W8A8",
            subject=model.name,
            verdict=outcome(held, "not_worse", GAP_MARGIN),
            effects=(Effect.harm(rotated, held),),
            controls=(Effect.harm(wide, bench.harm(model, wide, task, metric)),),
            meaning="If the cue matters to you, this is the recipe to compare with.",
        )


def noise(bench: StudyBench) -> Iterator[Finding]:
    """Claim 6: accuracy under corruption rises."""
    for model in bench.models:
        for bits in BITS:
            recipe = f"{bits}-{PTQ}"
            found = bench.harm(model, recipe, NOISE, "mean_corruption_accuracy")
            by_severity = [
                Effect.harm(
                    f"{corruption} {severity}", bench.harm(model, recipe, f"noise/{corruption}/{severity}", "top1")
                )
                for corruption in CORRUPTIONS
                for severity in SEVERITIES
            ]
            yield Finding(
                claim="6",
                title=f"Accuracy under corruption rises at {bits.upper()}",
                subject=model.name,
                verdict=outcome(found, "improves"),
                effects=(Effect.harm(f"{recipe}, {len(by_severity)} corruptions and severities", found),),
                controls=tuple(by_severity),
                meaning="Read it corruption by corruption: a mean hides where the sign turns.",
            )


def text_tower(bench: StudyBench) -> Iterator[Finding]:
    """Claim 8: quantizing the text tower too raises the calibration error, and refitting the logit scale repairs it."""
    for model in bench.models:
        vision, both = f"{BITS[1]}-{PTQ}", f"{BITS[1]}-{PTQ}-both"
        tuned = f"{BITS[1]}-{PTQ}+{TUNED}-both"
        cost = bench.harm(model, both, "id", "ece", against=vision)
        repaired = bench.harm(model, tuned, "id", "ece", against=both)
        fair = bench.harm(model, tuned, "id", "ece", against=f"fp32-{TUNED}")
        yield Finding(
            claim="8",
            title="Quantizing the text tower too raises the calibration error",
            subject=model.name,
            verdict=outcome(cost, "worsens"),
            effects=(Effect.harm(f"{both} against {vision}", cost),),
            controls=(),
            meaning="Text features are few and can stay in float at no cost.",
        )
        yield Finding(
            claim="8",
            title="Refitting the logit scale repairs it",
            subject=model.name,
            verdict=outcome(repaired, "improves"),
            effects=(Effect.harm(f"{tuned} against {both}", repaired),),
            controls=(Effect.harm(f"{tuned} against fp32-{TUNED}, FP32 tuned the same way", fair),),
            meaning="One number fitted on held-out pairs; FP32 deserves the same before the two are compared.",
        )
