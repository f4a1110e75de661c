"""Claims 1 to 4: what quantization improves, of which models, and what training adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reliability.study.bench import StudyBench, corrected, outcome, p_value
from reliability.study.controls import with_permuted_labels
from reliability.study.finding import Effect, Judged, Verdict
from reliability.study.names import NOISE, NOISE_ARM, PTQ, QAT, SHIPPED, TRAINED
from reliability.types import Comparison

Question = tuple[str, str, str]
ACCURACY: Question = ("id", "top1", "")
CALIBRATION: Question = ("id", "ece", "")
DETECTION: Question = ("ood/near", "auroc", "mcm")
THREE = (ACCURACY, CALIBRATION, DETECTION)
FOUR = (*THREE, (NOISE, "mean_corruption_accuracy", ""))
"""Task, metric and score of the four kinds of reliability that the study sees improve at once."""
_REFITTED: Question = ("id", "ece_after_temperature", "")


def all_at_once(bench: StudyBench) -> Judged:
    """Claim 1: some recipe improves accuracy, calibration, OOD detection and noise robustness together."""
    found = {recipe: [bench.harm(recipe, *what) for what in FOUR] for recipe in bench.usable(SHIPPED)}
    best, p, verdict = _some_improves_all(found, bench.rate)
    permuted = with_permuted_labels(bench.pair(best, "id")).harm("top1", level=bench.level)
    return Judged(
        verdict,
        effects=_improvements(best, found[best]),
        controls=(
            Effect.harm(f"{best}, both temperatures refitted", bench.harm(best, *_REFITTED)),
            Effect.harm(f"{best}, labels permuted", permuted),
        ),
        meaning={
            "holds": f"{best} is better than FP32 in all four respects.",
            "broken": "Every recipe is shown to lose in one respect or another: expect a trade, not a gift.",
            "inconclusive": f"No recipe is shown to gain in all four respects; {best} comes nearest.",
        }[verdict],
        p_value=p,
    )


def training_improves_three(bench: StudyBench) -> Judged:
    """Claim 4, first half: training through the grid gains on accuracy, calibration and OOD detection together."""
    found = {recipe: [bench.harm(recipe, *what) for what in THREE] for recipe in bench.usable(TRAINED)}
    best, p, verdict = _some_improves_all(found, bench.rate)
    arm = f"{best.partition('-')[0]}-{NOISE_ARM}"
    return Judged(
        verdict,
        effects=_improvements(best, found[best]),
        controls=(
            *(Effect.harm(f"{arm} (float, no grid)", bench.harm(arm, *what)) for what in THREE),
            Effect.harm(f"{best}, both temperatures refitted", bench.harm(best, *_REFITTED)),
        ),
        meaning={
            "holds": f"{best} gains on all three; what the noise arm gains too is the training's, not the grid's.",
            "broken": "Training through the grid is shown to cost one of the three, whatever the recipe.",
            "inconclusive": f"Training does not show a gain on all three; {best} comes nearest.",
        }[verdict],
        p_value=p,
    )


def _some_improves_all(found: Mapping[str, Sequence[Comparison]], rate: float) -> tuple[str, float, Verdict]:
    """The recipe nearest to improving in every respect, the p-value of the search, and what it comes to."""
    # All must improve, so a recipe is as convincing as the least of them.
    best, p = corrected({recipe: max(p_value(f, "improves") for f in each) for recipe, each in found.items()}, rate)
    hopeless = all(any(outcome(f, "improves") == "broken" for f in each) for each in found.values())
    return best, p, "holds" if p <= rate else "broken" if hopeless else "inconclusive"


def _improvements(recipe: str, found: Sequence[Comparison]) -> tuple[Effect, ...]:
    return tuple(Effect.harm(recipe, f, "improves") for f in found)


def sign_follows_confidence(bench: StudyBench, recipe: str) -> Judged:
    """Claim 2: the calibration error of underconfident models falls, that of overconfident ones rises."""
    found, signed = bench.harm(recipe, *CALIBRATION), bench.harm(recipe, "id", "signed_ece").reference
    expected, confidence = None, "neither over- nor underconfident, so nothing is claimed of it"
    if signed.upper < 0:
        expected, confidence = "improves", "underconfident"
    elif signed.lower > 0:
        expected, confidence = "worsens", "overconfident"
    refitted = bench.harm(recipe, *_REFITTED)
    return Judged(
        outcome(found, expected) if expected else "inconclusive",  # type: ignore[arg-type]
        effects=(
            Effect.harm(recipe, found, expected),  # type: ignore[arg-type]
            Effect.of("FP32, value", "signed_ece", signed),
        ),
        controls=(Effect.harm(f"{recipe}, both temperatures refitted", refitted),),
        meaning=f"FP32 is {confidence}; only what stays once both temperatures are refitted is more than confidence.",
    )


def detection_despite_calibration(bench: StudyBench) -> Judged:
    """Claim 3: OOD detection can improve where the calibration error got worse."""
    task = DETECTION[0]
    pairs = {
        f"{recipe} ({score})": (bench.harm(recipe, *CALIBRATION), bench.harm(recipe, task, "auroc", score))
        for recipe in bench.usable(SHIPPED)
        for score in ("mcm", "msp")
    }
    p_values = {key: max(p_value(e, "worsens"), p_value(a, "improves")) for key, (e, a) in pairs.items()}
    best, p = corrected(p_values, bench.rate)
    none = all(outcome(e, "worsens") == "broken" or outcome(a, "improves") == "broken" for e, a in pairs.values())
    worse, better = pairs[best]
    return Judged(
        "holds" if p <= bench.rate else "broken" if none else "inconclusive",
        effects=(Effect.harm(best, better, "improves"), Effect.harm(best, worse, "worsens")),
        controls=(),
        meaning="Judge calibration and detection apart: neither stands for the other.",
        p_value=p,
    )


def training_beats_rounding(bench: StudyBench, bits: str) -> Judged:
    """Claim 4, second half: at equal bits, training beats rounding on the calibration error."""
    qat, ptq, arm = (f"{bits}-{method}" for method in (QAT, PTQ, NOISE_ARM))
    found = bench.harm(qat, *CALIBRATION, against=ptq)
    verdict = outcome(found, "improves")
    return Judged(
        verdict,
        effects=(
            Effect.harm(f"{qat} against {ptq}", found, "improves"),
            Effect.harm(f"{qat} against FP32", bench.harm(qat, *CALIBRATION)),
            Effect.harm(f"{ptq} against FP32", bench.harm(ptq, *CALIBRATION)),
        ),
        controls=(
            Effect.harm(f"{arm} (float, no grid) against {ptq}", bench.harm(arm, *CALIBRATION, against=ptq)),
            Effect.harm(f"{qat} against {arm}", bench.harm(qat, *CALIBRATION, against=arm)),
            Effect.harm(f"{qat} against {ptq}, both temperatures refitted", bench.harm(qat, *_REFITTED, against=ptq)),
        ),
        meaning={
            "holds": "Training pays for calibration; where the noise arm gains as much, any training would.",
            "broken": "Training does not pay for calibration at these bits: a refitted temperature is cheaper.",
            "inconclusive": "These pictures do not tell training from rounding by calibration.",
        }[verdict],
    )
