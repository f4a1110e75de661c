"""What there is to say about a case beyond its verdict: its parts, and recipes near its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reliability.claims.judge import Verdict
from reliability.claims.records import CaseResult
from reliability.errors import UsageError
from reliability.evaluate.comparison.breakdown import Breakdown, LayerError
from reliability.evaluate.neighbours import nearness
from reliability.quant.proof import Proof
from reliability.quant.recipe import Recipe, parse_recipe


@dataclass(frozen=True)
class Missing:
    """Something that could not be had, and why, in one line."""

    why: str


@dataclass(frozen=True)
class Again:
    """A case taken apart anew; each part may be missing.

    Attributes:
        breakdown: Classes, groups, changed pictures and features.
        layers: Errors of layers, in the order of the model.
        proof: What ran quantized.
    """

    breakdown: Breakdown | Missing
    layers: Sequence[LayerError] | Missing
    proof: Proof | Missing


@dataclass(frozen=True)
class Attempt:
    """A nearby recipe, judged on the same case.

    Attributes:
        verdict: None where there was none.
        error: Why not.
    """

    recipe: str
    verdict: Verdict | None
    error: str = ""


@dataclass(frozen=True)
class Known:
    """A recipe of the run that holds where another one does not.

    Attributes:
        same_bits: Whether its weights and activations have as many bits.
        gates, holding: Gates of this model and recipe in the run, and how many hold.
    """

    recipe: str
    same_bits: bool
    gates: int
    holding: int


def known_to_hold(result: CaseResult, results: Sequence[CaseResult]) -> list[Known]:
    """Recipes of a run under which the same claim holds on the same task, the smallest change first.

    Args:
        result: A case that does not hold.
        results: Of the run.
    """
    recipe = recipe_named(result.recipe)
    question = _question(result)
    holding = [other for other in results if _question(other) == question and other.outcome == "holds"]
    found = {name: near for other in holding if (near := recipe_named(name := other.recipe)) and not near.is_float}
    if recipe is None:
        return []
    ordered = sorted(found.values(), key=lambda other: nearness(recipe, other))
    return [_known(recipe, other, result.model, results) for other in ordered]


def _known(recipe: Recipe, other: Recipe, model: str, results: Sequence[CaseResult]) -> Known:
    gates = [r for r in results if (r.model, r.recipe) == (model, other.name) and r.bound.gate]
    same = (recipe.weight_bits, recipe.activation_bits) == (other.weight_bits, other.activation_bits)
    return Known(other.name, same, len(gates), sum(gate.outcome == "holds" for gate in gates))


def _question(result: CaseResult) -> tuple[str, ...]:
    bound = result.bound
    return result.model, bound.claim, result.task, bound.metric, bound.score


def recipe_named(name: str) -> Recipe | None:
    """The recipe of a name of the grammar; None for a candidate or recipe of the user's own."""
    try:
        return parse_recipe(name)
    except UsageError:
        return None
