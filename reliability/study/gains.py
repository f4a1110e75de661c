"""Claims 1 to 4: what quantization improves, of which models, and what training adds."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.study.bench import (
    BITS,
    NOISE,
    NOISE_ARM,
    PTQ,
    QAT,
    SHIPPED,
    StudyBench,
    outcome,
    p_value,
    some_hold,
)  # fmt: skip
from reliability.study.controls import with_permuted_labels
from reliability.study.finding import Effect, Finding
from reliability.types import Comparison, Outcome

FOUR = (
    ("id", "top1", ""), ("id", "ece", ""), ("ood/near", "auroc", "mcm"), (NOISE, "mean_corruption_accuracy", ""),
)  # fmt: skip
"""Task, metric and score of the four kinds of reliability that the study sees improve at once."""


def all_at_once(bench: StudyBench) -> Iterator[Finding]:
    """Claim 1: some recipe improves accuracy, calibration, OOD detection and noise robustness together."""
    rate = 1.0 - bench.level
    for model in bench.models:
        found = {recipe: [bench.harm(model, recipe, *what) for what in FOUR] for recipe in SHIPPED}
        # All four must improve, so a recipe is as convincing as the least of them.
        p_values = {recipe: max(p_value(f, "improves") for f in four) for recipe, four in found.items()}
        best = min(p_values, key=p_values.__getitem__)
        hopeless = all(any(outcome(f, "improves") == "broken" for f in four) for four in found.values())
        verdict: Outcome = (
            "holds" if some_hold(list(p_values.values()), rate) else "broken" if hopeless else "inconclusive"
        )
        permuted = with_permuted_labels(bench.pair(model, best, "id")).harm("top1", level=bench.level)
        yield Finding(
            claim="1",
            title="Accuracy, calibration error, OOD detection and noise robustness improve at once",
            subject=model.name,
            verdict=verdict,
            effects=tuple(Effect.harm(best, f) for f in found[best]),
            controls=(Effect.harm(f"{best}, labels permuted", permuted),),
            meaning={
                "holds": f"{best} is better than FP32 in all four respects.",
                "broken": "Every recipe loses in one respect or another: expect a trade, not a gift.",
                "inconclusive": "No recipe is shown to gain in all four respects, nor shown not to.",
            }[verdict],
        )


def sign_follows_confidence(bench: StudyBench) -> Iterator[Finding]:
    """Claim 2: the calibration error of underconfident models falls, that of overconfident ones rises."""
    sides: dict[str, list[Comparison]] = {"improves": [], "worsens": []}
    for model in bench.models:
        recipe = f"{BITS[1]}-{PTQ}"
        found, signed = bench.harm(model, recipe, "id", "ece"), bench.harm(model, recipe, "id", "signed_ece").reference
        expected = "improves" if signed.upper < 0 else "worsens" if signed.lower > 0 else None
        if expected is not None:
            sides[expected].append(found)
        verdict: Outcome = outcome(found, expected) if expected else "inconclusive"  # type: ignore[arg-type]
        refitted = bench.harm(model, recipe, "id", "ece_after_temperature")
        yield Finding(
            claim="2",
            title="The calibration error falls where FP32 was underconfident and rises where it was overconfident",
            subject=model.name,
            verdict=verdict,
            effects=(
                Effect.harm(recipe, found),
                Effect("FP32, value", "signed_ece", signed.estimate, signed.lower, signed.upper),
            ),
            controls=(Effect.harm(f"{recipe}, both temperatures refitted", refitted),),
            meaning=f"FP32 is {_confidence(expected)}; what stays after refitting is no matter of temperature.",
        )
    if sides["improves"] and sides["worsens"]:
        yield _interaction(sides)


def _confidence(expected: str | None) -> str:
    return {"improves": "underconfident", "worsens": "overconfident", None: "neither over- nor underconfident"}[
        expected
    ]


def _interaction(sides: dict[str, list[Comparison]]) -> Finding:
    """Whether harm is larger among overconfident models than among underconfident ones.

    Conventions:
        Models see the same pictures, so their errors may move together; standard errors are
        added up rather than in squares, which is the widest they can be.
    """
    under, over = ([f.harm for f in sides[name]] for name in ("improves", "worsens"))
    estimate = sum(h.estimate for h in over) / len(over) - sum(h.estimate for h in under) / len(under)
    width = sum(max(h.upper - h.estimate, h.estimate - h.lower) / len(group) for group in (over, under) for h in group)
    verdict: Outcome = "holds" if estimate - width > 0 else "broken" if estimate + width <= 0 else "inconclusive"
    return Finding(
        claim="2",
        title="The sign of the change depends on the pre-training source (interaction)",
        subject="all models",
        verdict=verdict,
        effects=(Effect("overconfident less underconfident", "ece", estimate, estimate - width, estimate + width),),
        controls=(),
        meaning=f"Over {len(over)} overconfident and {len(under)} underconfident models; know the sign of yours.",
    )


def detection_despite_calibration(bench: StudyBench) -> Iterator[Finding]:
    """Claim 3: OOD detection can improve where the calibration error got worse."""
    for model in bench.models:
        pairs = {
            (recipe, score): (bench.harm(model, recipe, "id", "ece"), bench.harm(model, recipe, task, "auroc", score))
            for recipe in SHIPPED
            for task, score in (("ood/near", "mcm"), ("ood/near", "msp"))
        }
        p_values = {key: max(p_value(e, "worsens"), p_value(a, "improves")) for key, (e, a) in pairs.items()}
        best = min(p_values, key=p_values.__getitem__)
        none = all(outcome(e, "worsens") == "broken" or outcome(a, "improves") == "broken" for e, a in pairs.values())
        holds = some_hold(list(p_values.values()), 1.0 - bench.level)
        yield Finding(
            claim="3",
            title="OOD AUROC improves of some recipe whose calibration error got worse",
            subject=model.name,
            verdict="holds" if holds else "broken" if none else "inconclusive",
            effects=tuple(Effect.harm(f"{best[0]} ({best[1]})", f) for f in pairs[best]),
            controls=(),
            meaning="Calibration and detection are judged apart: neither stands for the other.",
        )


def training_beats_rounding(bench: StudyBench) -> Iterator[Finding]:
    """Claim 4: at equal bits, training beats rounding on the calibration error."""
    for model in bench.models:
        for bits in BITS:
            qat, ptq, arm = (f"{bits}-{method}" for method in (QAT, PTQ, NOISE_ARM))
            found = bench.harm(model, qat, "id", "ece", against=ptq)
            verdict = outcome(found, "improves")
            yield Finding(
                claim="4",
                title=f"Training beats rounding on the calibration error at {bits.upper()}",
                subject=model.name,
                verdict=verdict,
                effects=(
                    Effect.harm(f"{qat} against {ptq}", found),
                    *(Effect.harm(f"{qat} against FP32", bench.harm(model, qat, *what)) for what in FOUR[:3]),
                ),
                controls=(Effect.harm(f"{arm} (float, no grid) against FP32", bench.harm(model, arm, "id", "ece")),),
                meaning="What the noise arm gains too comes from training on, not from the grid.",
            )
