"""Controls over the whole study: what labels that mean nothing show, and what another draw or seed would change."""

from __future__ import annotations

from reliability.evaluate.comparison.compare import Pair
from reliability.stats.variation import DrawVariation
from reliability.study.bench import StudyBench, corrected, p_value
from reliability.study.controls import with_permuted_labels, with_permuted_membership
from reliability.study.finding import Effect, Judged, NotApplicableError
from reliability.study.gains import THREE
from reliability.study.names import SHIPPED
from reliability.study.sampling import over_draws

_FEWEST_DRAWS = 3


def nothing_from_permuted_labels(bench: StudyBench) -> Judged:
    """With labels, and with familiar and unfamiliar, dealt anew no recipe may be seen to gain."""
    found = {}
    for recipe in bench.usable(SHIPPED):
        found[f"{recipe}, labels permuted"] = with_permuted_labels(bench.pair(recipe, "id")).harm(
            "top1", level=bench.level
        )
        if "ood/near" in bench.engine.data.tasks:
            dealt = with_permuted_membership(bench.pair(recipe, "ood/near"))
            found[f"{recipe}, familiar and unfamiliar permuted"] = dealt.harm("auroc", "mcm", level=bench.level)
    best, p = corrected({name: p_value(f, "improves") for name, f in found.items()}, bench.rate)
    ordered = sorted(found, key=lambda name: name != best)
    return Judged(
        "broken" if p <= bench.rate else "holds",
        effects=tuple(Effect.harm(name, found[name]) for name in ordered),
        controls=(),
        meaning="Nothing comes out where there is nothing: gains above are not made by the method."
        if p > bench.rate
        else "A gain came out where there is none: read single gains above with doubt.",
        p_value=p,
    )


def outlasts_draws(bench: StudyBench, recipe: str, draws: int, what: str) -> Judged:
    """Whether the sign of the main effects would stay under another draw, and what part of their variance draws are.

    Args:
        bench: Whose plan holds ``recipe`` and ``recipe-s1``, ``recipe-s2``, ...
        recipe: The first draw.
        draws: How many at most.
        what: What is drawn, in words.

    Raises:
        NotApplicableError: The plan holds fewer than three draws for this model.
    """
    bench.require(recipe)
    names = [recipe, *(f"{recipe}-s{seed}" for seed in range(1, draws))]
    usable = [name for name in names if bench.planned is None or name in bench.planned]
    if len(usable) < _FEWEST_DRAWS:
        raise NotApplicableError(
            where=f"{bench.model.name}, {recipe}", what="the plan draws again for one model only, for want of time",
            next="read it there, or add draws to the plan",
        )  # fmt: skip
    by_task: dict[str, list[Pair]] = {}
    effects: list[Effect] = []
    controls: list[Effect] = []
    settled = []
    for task, metric, score in THREE:
        if task not in by_task:
            by_task[task] = [bench.pair(name, task) for name in usable]
        found, single = over_draws(by_task[task], metric, score, bench.level)
        effects.append(Effect.of(f"{recipe}, what one more {what} would show", metric, found.new_draw))
        controls += _attributed(recipe, metric, found, single, what)
        settled.append(found.new_draw.lower > 0.0 or found.new_draw.upper < 0.0)
    named = [metric for (_, metric, _), sure in zip(THREE, settled, strict=True) if sure]
    return Judged(
        "holds" if all(settled) else "inconclusive",
        effects=tuple(effects),
        controls=tuple(controls),
        meaning=f"Over {len(usable)} of them, the sign of the change is safe for "
        f"{', '.join(named) if named else 'none of the three'}; do not quote one {what} for the others.",
    )


def _attributed(recipe: str, metric: str, found: DrawVariation, single: float, what: str) -> list[Effect]:
    """Spread between draws, error from pictures, and the share of variance that draws make up."""
    between, error = found.between_draws, single**0.5
    estimate, lower, upper = (
        value**2 / (value**2 + single) if value > 0.0 else 0.0
        for value in (between.estimate, between.lower, between.upper)
    )
    return [
        Effect.of(f"{recipe}, mean over draws", metric, found.mean),
        Effect.of(f"{recipe}, standard deviation from one {what} to another, value", metric, between),
        Effect(f"{recipe}, standard error from pictures, value", metric, error, error, error),
        Effect(f"{recipe}, share of the variance of {metric} by {what}, value", "share", estimate, lower, upper),
    ]
