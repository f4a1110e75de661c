"""What a claim of the study came out as."""

from __future__ import annotations

from dataclasses import dataclass

from reliability.types import Comparison, Outcome


@dataclass(frozen=True)
class Effect:
    """A figure with limits.

    Attributes:
        name: What was compared with what.
        metric: Its name, which gives the unit.
        estimate, lower, upper: Harm, positive = worse, or a value where ``name`` says so.
    """

    name: str
    metric: str
    estimate: float
    lower: float
    upper: float

    @classmethod
    def harm(cls, name: str, found: Comparison) -> Effect:
        """The harm of a comparison."""
        return cls(name, found.metric, found.harm.estimate, found.harm.lower, found.harm.upper)

    @classmethod
    def value(cls, name: str, found: Comparison) -> Effect:
        """The candidate's own value."""
        return cls(name, found.metric, found.candidate.estimate, found.candidate.lower, found.candidate.upper)


@dataclass(frozen=True)
class Finding:
    """One claim on one model, or on all of them.

    Attributes:
        claim: Its number in the study, such as ``"7b"``.
        title: What is claimed.
        subject: The model's name, or ``"all models"``.
        verdict: Whether it holds here.
        effects: What the verdict rests on, the most telling first.
        controls: What tells the mechanism from others.
        meaning: One sentence for someone about to ship.
    """

    claim: str
    title: str
    subject: str
    verdict: Outcome
    effects: tuple[Effect, ...]
    controls: tuple[Effect, ...]
    meaning: str
