"""Figures of a candidate that are counted in its coverage proof, not estimated from pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from reliability.errors import UsageError
from reliability.quant.proof import FLOAT_BITS, Proof
from reliability.types import Comparison, Interval


@dataclass(frozen=True)
class Counted:
    """One such figure.

    Attributes:
        direction: Whether higher or lower is better.
        unit: ``fraction``, ``count``, ``bits`` or ``MiB``.
        summary: One sentence.
        of: The candidate's value.
        reference: The value of the FP32 model, which declares nothing and keeps it.
    """

    direction: Literal["higher", "lower"]
    unit: str
    summary: str
    of: Callable[[Proof], float]
    reference: Callable[[Proof], float]


COUNTED: Mapping[str, Counted] = {
    "declared_share": Counted(
        "higher", "fraction", "Share of multiply-accumulates that ran as the recipe declares, quantized or in float.",
        lambda proof: proof.declared_share, lambda _: 1.0,
    ),
    "quantized_share": Counted(
        "higher", "fraction", "Share of multiply-accumulates of the recipe's towers that ran quantized.",
        lambda proof: proof.quantized_share, lambda _: 0.0,
    ),
    "coverage_faults": Counted(
        "lower", "count", "Layers, attentions and tables that are not as the recipe declares, or never ran.",
        lambda proof: float(len(proof.faulty)), lambda _: 0.0,
    ),
    "clipped_share": Counted(
        "lower", "fraction", "Share of a layer's inputs that its grid clips, in the layer that clips most.",
        lambda proof: proof.clipped, lambda _: 0.0,
    ),
    "saturated_share": Counted(
        "lower", "fraction", "Share of a layer's inputs on the ends of its grid, in the layer with most.",
        lambda proof: proof.saturated, lambda _: 0.0,
    ),
    "bits_per_weight": Counted(
        "lower", "bits", "Bits per weight of the recipe's towers, with scales and zero points.",
        lambda proof: proof.bits_per_weight, lambda _: float(FLOAT_BITS),
    ),
    "packed_mib": Counted(
        "lower", "MiB", "Size of the whole model with its codes packed without gaps.",
        lambda proof: proof.size_mib, lambda proof: proof.float_size_mib,
    ),
}  # fmt: skip
"""Name as in threshold files to figure; a new one is an entry here."""


def counted(name: str, score: str, proof: Proof, level: float) -> Comparison:
    """A counted figure of both models; its limits are the figure itself, whatever the level.

    Raises:
        UsageError: A score was named.
        UndefinedMetricError: The candidate ran no product at all.
    """
    if score:
        raise UsageError(
            where=f"metric {name}", what="this figure takes no score", got=f"score {score!r}", next="remove the score"
        )
    figure = COUNTED[name]
    reference, candidate = figure.reference(proof), figure.of(proof)
    harm = reference - candidate if figure.direction == "higher" else candidate - reference
    return Comparison(
        metric=name,
        score=score,
        reference=_exactly(reference, level),
        candidate=_exactly(candidate, level),
        harm=_exactly(harm, level),
        n=proof.pairs,
        seed=0,
        details={"coverage": proof.to_dict()},
        method=f"counted, rates on {proof.pairs} range-setting pairs",
    )


def _exactly(value: float, level: float) -> Interval:
    return Interval(value, value, value, level, 0.0)
