"""Findings that join models: one model is an anecdote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reliability.stats.multiplicity import holm
from reliability.study.finding import ALL_MODELS, Effect, Finding, Judged
from reliability.types import Outcome

RATE = 0.05


def across(findings: Sequence[Finding]) -> Iterator[Finding]:
    """What the findings of single models come to together, under the titles of the claims that they are about."""
    for title in dict.fromkeys((f.claim, f.title) for f in findings):
        own = [f for f in findings if (f.claim, f.title) == title and f.main is not None]
        if own and title[0] == "2":
            yield Finding(*title, ALL_MODELS, interaction(own))
        elif own and title[0] in ("1", "3", "4") and all(f.judged.p_value is not None for f in own):
            yield Finding(*title, ALL_MODELS, _some_model(own))


def _some_model(findings: Sequence[Finding]) -> Judged:
    """Whether a claim that was searched for on every model holds for any, corrected for that search, too."""
    p_values = {f.subject: f.judged.p_value or 0.0 for f in findings}
    adjusted = dict(zip(p_values, holm(list(p_values.values()), RATE).adjusted.tolist(), strict=True))
    holding = [name for name, p in adjusted.items() if p <= RATE]
    best = min(p_values, key=p_values.__getitem__)
    hopeless = all(f.verdict == "broken" for f in findings)
    return Judged(
        "holds" if holding else "broken" if hopeless else "inconclusive",
        effects=tuple(
            Effect(f"{best}, p-value corrected for recipes and models", "p_value", p, p, p) for p in [adjusted[best]]
        ),
        controls=(),
        meaning=f"It holds for {', '.join(holding)}, of {len(p_values)} models."
        if holding
        else f"It is shown for none of {len(p_values)} models, once corrected for looking at all of them.",
        p_value=adjusted[best],
    )


def interaction(findings: Sequence[Finding]) -> Judged:
    """Whether harm is larger among overconfident models than among underconfident ones.

    Conventions:
        Models see the same pictures, so their errors may move together; widths of limits are
        added up rather than in squares, which is the widest they can be. A model is one draw of
        what its training made of it: the limits speak of these models, not of others like them.
    """
    sides: dict[str, list[Effect]] = {"improves": [], "worsens": []}
    for finding in findings:
        effect = finding.main
        if effect is not None and effect.relation in sides:
            sides[effect.relation].append(effect)
    under, over = sides["improves"], sides["worsens"]
    if not under or not over:
        return Judged("inconclusive", (), (), "Only models of one sign are here: whether it matters cannot be told.")
    estimate = _mean(over) - _mean(under)
    width = sum(max(h.upper - h.estimate, h.estimate - h.lower) / len(group) for group in (over, under) for h in group)
    verdict: Outcome = "holds" if estimate - width > 0 else "broken" if estimate + width <= 0 else "inconclusive"
    expected = sum(h.estimate < 0 for h in under) + sum(h.estimate > 0 for h in over)
    return Judged(
        verdict,
        effects=(
            Effect("overconfident less underconfident", "ece", estimate, estimate - width, estimate + width, "worsens"),
        ),
        controls=(
            _of_group("mean of underconfident models", under), _of_group("mean of overconfident models", over),
        ),
        meaning=f"Of {len(under) + len(over)} models, {len(under)} of them underconfident, {expected} move as claimed: "
        "know the sign of yours.",
    )  # fmt: skip


def _mean(effects: Sequence[Effect]) -> float:
    return sum(effect.estimate for effect in effects) / len(effects)


def _of_group(name: str, effects: Sequence[Effect]) -> Effect:
    low, high = (sum(getattr(e, side) for e in effects) / len(effects) for side in ("lower", "upper"))
    return Effect(name, "ece", _mean(effects), low, high)
