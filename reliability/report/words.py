"""What the figures in a report are called, in which unit they are shown, and what the words mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reliability.claims.wording import fixed
from reliability.errors import UsageError
from reliability.evaluate.comparison.counted import COUNTED, Counted
from reliability.evaluate.running.efficiency import COSTS, Cost
from reliability.metrics.registry import Metric, get
from reliability.metrics.scores import all_scores


@dataclass(frozen=True)
class Unit:
    """How a metric's numbers are shown.

    Attributes:
        factor: Applied to values, harms and margins alike.
        level: Suffix of a value.
        change: Suffix of a difference of values.
        digits: Decimals, unless more are needed to tell two numbers apart.
    """

    factor: float
    level: str
    change: str
    digits: int

    def value(self, value: float, digits: int | None = None) -> str:
        """One model's figure, such as ``94.11 %``."""
        return fixed(self.factor * value, digits or self.digits) + self.level

    def harm(self, value: float, digits: int | None = None) -> str:
        """A difference, such as ``1.72 pp``."""
        return fixed(self.factor * value, digits or self.digits) + self.change

    def number(self, value: float, digits: int | None = None) -> str:
        """A value or a difference without its unit."""
        return fixed(self.factor * value, digits or self.digits)


RATE = Unit(100.0, " %", " pp", 2)
COUNT = Unit(1.0, "", "", 0)
RAW = Unit(1.0, "", "", 4)

_TERMS = {
    "reference": "the FP32 model",
    "candidate": "the quantized model: the reference with a recipe applied",
    "recipe": "what was quantized, to how many bits, and by which method",
    "task": "the images a claim is tested on; both models see the same ones in the same order",
    "harm": "how much worse the candidate is than the reference, in the metric's own unit: positive is worse",
    "pp": "percentage points, the difference of two percentages",
    "limits": "one-sided confidence limits of the harm, each at the level stated, from resampled images",
    "allowed": "the margin of the bound in the threshold file: the harm a claim tolerates",
    "gate": "a claim that stops the run unless it holds",
    "observed": "a claim that is reported and stops nothing",
    "holds": "the limits lie wholly inside what is allowed",
    "broken": "the limits lie wholly outside what is allowed",
    "inconclusive": "the limits straddle the edge of what is allowed: these images cannot tell, so a gate stops",
    "error": "there is no figure to judge; it counts as a stop, never as a pass",
}


def unit_of(metric: str) -> Unit:
    """Percent for fractions; any other unit, or a metric not known here, is shown as it is."""
    known = _known(metric)
    return _UNITS.get(known.unit, RAW) if known else RAW


_UNITS = {
    "fraction": RATE, "count": COUNT, "bits": Unit(1.0, " bits", " bits", 2), "MiB": Unit(1.0, " MiB", " MiB", 2),
    "ms": Unit(1.0, " ms", " ms", 2), "images/s": Unit(1.0, " images/s", " images/s", 1),
    "ratio": Unit(1.0, " x", " x", 2),
}  # fmt: skip


def glossary(metrics: Iterable[str], scores: Iterable[str]) -> list[tuple[str, str]]:
    """Words and their meaning: the terms, then the metrics and scores that occur."""
    figures = [(metric, known.summary) for metric in sorted(metrics) if (known := _known(metric))]
    wanted = set(scores)
    return [*_TERMS.items(), *figures, *((s.name, s.summary) for s in all_scores() if s.name in wanted)]


def _known(metric: str) -> Metric | Counted | Cost | None:
    if metric in COUNTED:
        return COUNTED[metric]
    if metric in COSTS:
        return COSTS[metric]
    # A report may be made of records that a newer or extended version has written.
    try:
        return get(metric)
    except UsageError:
        return None
