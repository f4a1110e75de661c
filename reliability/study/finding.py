"""What a claim of the study came out as, and the curves drawn beside it; both as plain data that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from reliability.errors import ReliabilityError
from reliability.types import Comparison, Interval, Outcome, Relation

NOT_APPLICABLE: Literal["not applicable"] = "not applicable"
Verdict = Outcome | Literal["not applicable"]
ALL_MODELS = "all models"
"""Subject of a finding that joins models."""


class NotApplicableError(ReliabilityError):
    """A claim asks for a recipe that a model's architecture refuses, or for a task that the data do not have."""


@dataclass(frozen=True)
class Effect:
    """A figure with limits.

    Attributes:
        name: What was compared with what.
        metric: Its name, which gives the unit.
        estimate, lower, upper: Harm, positive = worse, or a value where ``name`` says so.
        relation, margin: What the claim asks of it, where it is judged by itself.
    """

    name: str
    metric: str
    estimate: float
    lower: float
    upper: float
    relation: Relation | None = None
    margin: float = 0.0

    @classmethod
    def harm(cls, name: str, found: Comparison, relation: Relation | None = None, margin: float = 0.0) -> Effect:
        """The harm of a comparison."""
        return cls.of(name, found.metric, found.harm, relation, margin)

    @classmethod
    def of(
        cls, name: str, metric: str, found: Interval, relation: Relation | None = None, margin: float = 0.0
    ) -> Effect:
        """An interval."""
        return cls(name, metric, found.estimate, found.lower, found.upper, relation, margin)


@dataclass(frozen=True)
class Judged:
    """How a claim came out, before it is said which claim and which model.

    Attributes:
        verdict: Whether it holds here.
        effects: What the verdict rests on, the most telling first.
        controls: What tells the mechanism from others.
        meaning: One sentence for someone about to ship.
        p_value: Of "the claim does not hold", corrected for what was searched; None where nothing was.
    """

    verdict: Verdict
    effects: tuple[Effect, ...]
    controls: tuple[Effect, ...]
    meaning: str
    p_value: float | None = None


@dataclass(frozen=True)
class Finding:
    """One claim on one model, or on all of them.

    Attributes:
        claim: Its number in the study, such as ``"7b"``.
        title: What is claimed.
        subject: The model's name, or ``ALL_MODELS``.
        judged: How it came out.
    """

    claim: str
    title: str
    subject: str
    judged: Judged

    @property
    def verdict(self) -> Verdict:
        """Whether it holds here."""
        return self.judged.verdict

    @property
    def main(self) -> Effect | None:
        """The effect that the verdict rests on most; None where nothing could be measured."""
        return self.judged.effects[0] if self.judged.effects else None


@dataclass(frozen=True)
class Curve:
    """A line, or a cloud of points, of a figure.

    Attributes:
        figure: Which one it belongs to.
        subject: The model's name.
        name: Of the line, mostly a recipe.
        panel: Where the figure has several for one model, such as a corruption.
        x, y: Numbers, as many of the one as of the other.
    """

    figure: str
    subject: str
    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    panel: str = ""


@dataclass(frozen=True)
class Study:
    """All that a report is written from.

    Attributes:
        made_with: The command and settings, for whoever wants to repeat it.
    """

    findings: tuple[Finding, ...]
    curves: tuple[Curve, ...]
    made_with: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Study:
        """What :meth:`to_dict` gave.

        Raises:
            KeyError, TypeError: It did not give this.
        """
        curves = (Curve(**{**curve, "x": tuple(curve["x"]), "y": tuple(curve["y"])}) for curve in data["curves"])
        return cls(tuple(map(_finding, data["findings"])), tuple(curves), data["made_with"])


def joined(studies: Sequence[Study], made_with: str = "") -> Study:
    """Several studies as one."""
    parts = ([part for study in studies for part in getattr(study, field.name)] for field in fields(Study)[:2])
    findings, curves = map(tuple, parts)
    return Study(findings, curves, made_with)


def _finding(data: Mapping[str, Any]) -> Finding:
    effects = {name: tuple(Effect(**effect) for effect in data["judged"][name]) for name in ("effects", "controls")}
    return Finding(**{**data, "judged": Judged(**{**data["judged"], **effects})})
