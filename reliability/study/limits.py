"""Claims 5, 6 and 8: where quantization does not help, or reverses."""

from __future__ import annotations

from reliability.study.bench import StudyBench, all_of, beats, corrected, outcome, p_value
from reliability.study.finding import Effect, Judged, NotApplicableError
from reliability.study.names import CORRUPTIONS, NARROW, NOISE, PTQ, ROTATED_QAT, SEVERITIES, WIDE
from reliability.study.sampling import relative_loss
from reliability.types import Comparison

SHIFTS = ("shift/unseen_backgrounds", "shift/sketch", "shift/silhouette", "shift/unseen_palette")
"""Shifts like those of the study: other surroundings, drawings, outlines and colours."""
SPURIOUS, GAP = "spurious/background", "relative_spurious_gap"
TRIFLE = 0.005
"""A gain of accuracy that nobody would call one."""
GAP_MARGIN = 0.010
REPAIRED = 0.010
"""A calibration error that much above the other's is no repair."""
TUNED = "tunescale"


def no_gain_under_shift(bench: StudyBench, recipe: str) -> Judged:
    """Claim 5: covariate shift sees no gain."""
    shifts = [name for name in SHIFTS if name in bench.engine.data.tasks]
    if not shifts:
        raise NotApplicableError(
            where=bench.model.name, what="the data have no shift of these kinds", next="judge it on scenes"
        )
    found = {name: bench.harm(recipe, name, "top1") for name in shifts}
    best, p = corrected({name: beats(f, TRIFLE) for name, f in found.items()}, bench.rate)
    kept = all(outcome(f, "not_better", TRIFLE) == "holds" for f in found.values())
    others = (name for name in found if name != best)
    return Judged(
        "broken" if p <= bench.rate else "holds" if kept else "inconclusive",
        effects=(
            Effect.harm(f"{recipe} on {best}, the best for it", found[best], "not_better", TRIFLE),
            *(Effect.harm(f"{recipe} on {name}", found[name], "not_better", TRIFLE) for name in others),
        ),
        controls=(Effect.harm(f"{recipe}, no shift", bench.harm(recipe, "id", "top1")),),
        meaning="Do not count on quantization to help with pictures of another kind."
        if p > bench.rate
        else f"On {best} it does help here, which the study did not see; test your own shift.",
        p_value=p,
    )


def spurious_does_not_shrink(bench: StudyBench, recipe: str) -> Judged:
    """Claim 5: neither the spurious gap nor the added vulnerability shrinks."""
    gap, added = (bench.harm(recipe, SPURIOUS, metric) for metric in (GAP, "added_vulnerability"))
    verdict = all_of([outcome(f, "not_better", GAP_MARGIN) for f in (gap, added)])
    return Judged(
        verdict,
        effects=tuple(Effect.harm(recipe, f, "not_better", GAP_MARGIN) for f in (gap, added)),
        controls=(Effect.harm(f"{recipe}, largest gap of groups", bench.harm(recipe, SPURIOUS, "group_gap")),),
        meaning={
            "holds": "Quantization does not cure a model of its spurious cue.",
            "broken": "Here the cue weighs less after quantization; see whether accuracy with the cue paid for it.",
            "inconclusive": "These pictures do not say whether the cue weighs more or less.",
        }[verdict],
    )


def spurious_grows(bench: StudyBench) -> Judged:
    """Claim 5: the spurious gap and the added vulnerability grow from W8A8 to W4A8."""
    wide, narrow = f"{WIDE}-{PTQ}", f"{NARROW}-{PTQ}"
    grown = [bench.harm(narrow, SPURIOUS, metric, against=wide) for metric in (GAP, "added_vulnerability")]
    return Judged(
        all_of([outcome(f, "worsens") for f in grown]),
        effects=tuple(Effect.harm(f"{narrow} against {wide}", f, "worsens") for f in grown),
        controls=tuple(
            Effect.harm(f"{recipe} against FP32", bench.harm(recipe, SPURIOUS, GAP)) for recipe in (wide, narrow)
        ),
        meaning="Test on pictures against the cue before going below eight bits.",
    )


def rotation_holds_the_gap(bench: StudyBench) -> Judged:
    """Claim 5: rotation with training does not widen the spurious gap at W8A8."""
    rotated, plain = f"{WIDE}-{ROTATED_QAT}", f"{WIDE}-{PTQ}"
    held, added = (bench.harm(rotated, SPURIOUS, metric) for metric in (GAP, "added_vulnerability"))
    return Judged(
        outcome(held, "not_worse", GAP_MARGIN),
        effects=(Effect.harm(rotated, held, "not_worse", GAP_MARGIN), Effect.harm(rotated, added)),
        controls=(Effect.harm(plain, bench.harm(plain, SPURIOUS, GAP)),),
        meaning="If the cue matters to you, this is the recipe to compare others with.",
    )


def noise(bench: StudyBench, recipe: str) -> Judged:
    """Claim 6: accuracy under corruption rises; where it reverses."""
    found, both = bench.harm(recipe, NOISE, "mean_corruption_accuracy"), bench.noise(recipe)
    right = [side.correct.mean(axis=(1, 2)) for side in (both.reference, both.candidate)]
    relative = relative_loss(right[0], right[1], bench.level)
    cells = {
        f"{corruption} {severity}": bench.harm(recipe, f"noise/{corruption}/{severity}", "top1")
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    }
    return Judged(
        outcome(found, "improves"),
        effects=(
            Effect.harm(f"{recipe}, {len(cells)} corruptions and severities", found, "improves"),
            Effect.of(f"{recipe}, relative to FP32's accuracy under them", "relative_accuracy", relative),
            *(Effect.harm(f"{recipe}, {name}", f) for name, f in cells.items()),
        ),
        controls=(Effect.harm(f"{recipe}, no corruption", bench.harm(recipe, "id", "top1")),),
        meaning=_where_it_turns(cells, bench.rate),
    )


def _where_it_turns(cells: dict[str, Comparison], rate: float) -> str:
    """Which corruptions and severities are shown to gain and which to lose, each side searched with a correction."""
    gains, losses = (
        [name for name, f in cells.items() if p_value(f, relation) * len(cells) <= rate]
        for relation in ("improves", "worsens")
    )
    told = [f"{word} {', '.join(names)}" for word, names in (("gains on", gains), ("loses on", losses)) if names]
    turns = "the sign turns: it " if gains and losses else "it "
    return (
        f"Read it by corruption: {turns}{' and '.join(told)}."
        if told
        else (
            "No single corruption and severity is shown to gain or to lose, once corrected for looking at all of them."
        )
    )


def text_tower_costs(bench: StudyBench, bits: str) -> Judged:
    """Claim 8: quantizing the text tower too raises the calibration error."""
    vision, both = f"{bits}-{PTQ}", f"{bits}-{PTQ}-both"
    cost = bench.harm(both, "id", "ece", against=vision)
    return Judged(
        outcome(cost, "worsens"),
        effects=(Effect.harm(f"{both} against {vision}", cost, "worsens"),),
        controls=(
            Effect.harm(
                f"{both} against {vision}, both temperatures refitted",
                bench.harm(both, "id", "ece_after_temperature", against=vision),
            ),
            Effect.harm(f"{both} against {vision}", bench.harm(both, "id", "top1", against=vision)),
        ),
        meaning="Text features are few and computed once: they can stay in float at no cost.",
    )


def tuning_repairs(bench: StudyBench, bits: str) -> Judged:
    """Claim 8: refitting the logit scale alone repairs it."""
    both, tuned = f"{bits}-{PTQ}-both", f"{bits}-{PTQ}+{TUNED}-both"
    repaired = bench.harm(tuned, "id", "ece", against=both)
    return Judged(
        outcome(repaired, "improves"),
        effects=(
            Effect.harm(f"{tuned} against {both}", repaired, "improves"),
            Effect.harm(f"{tuned} against FP32 as it is", bench.harm(tuned, "id", "ece")),
        ),
        controls=(Effect.harm(f"fp32-{TUNED} against FP32 as it is", bench.harm(f"fp32-{TUNED}", "id", "ece")),),
        meaning="One number, fitted on range-setting pairs; where FP32 gains as much, it repairs no quantization.",
    )


def fair_comparison(bench: StudyBench, bits: str) -> Judged:
    """Claim 8: against FP32 tuned the same way nothing is left of the cost."""
    tuned, fair = f"{bits}-{PTQ}+{TUNED}-both", f"fp32-{TUNED}"
    left = bench.harm(tuned, "id", "ece", against=fair)
    return Judged(
        outcome(left, "not_worse", REPAIRED),
        effects=(Effect.harm(f"{tuned} against {fair}", left, "not_worse", REPAIRED),),
        controls=(Effect.harm(f"{tuned} against {fair}", bench.harm(tuned, "id", "nll", against=fair)),),
        meaning="Compare with an FP32 model tuned on the same pairs, or tuning passes for quality.",
    )
