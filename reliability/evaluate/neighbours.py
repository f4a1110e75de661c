"""Recipes near another one: the same size by a better method first, then more bits."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.errors import UsageError
from reliability.quant.grammar import GrammarError, Parts, take_apart
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.schemes import ROLES, SCHEMES

LADDER = (
    "rtn", "minmax", "percentile", "mse", "smoothquant", "smoothquant+mse", "hqq", "mse+gptq", "gptq", "awq",
    "smoothquant+mse+gptq", "hadamard", "hadamard+gptq", "hadamard+mse+gptq", "lsq", "hadamard+lsq",
)  # fmt: skip
"""Methods by what they take: ranges alone, then scales, then weights, then a rotation in use, then training."""
_KEPT = ("extra", "head")
"""Roles that say what is quantized or refitted, and not how."""
_WIDER = (6, 8)


def neighbours(recipe: Recipe) -> Iterator[Recipe]:
    """Recipes that might hold where this one does not, the smallest change first.

    Conventions:
        First a scale per channel in place of one per tensor, then methods further up the ladder
        at the same bits, then the same method with wider
        activations, which store nothing more, then with wider weights. Towers, seed and what
        is quantized beside layers stay. A recipe of the user's own, FP32 and recipes on
        kernels have none.
    """
    parts = _parts(recipe)
    if parts is None:
        return
    seen = {recipe.name}
    for name in (*_better(recipe, parts), *_wider(recipe)):
        found = _parsed(name)
        if found is not None and found.name not in seen:
            seen.add(found.name)
            yield found


def nearness(of: Recipe, other: Recipe) -> tuple[bool, int, int, int, str]:
    """A key that sorts other recipes by how small a change they are: the same bits, then fewest bits, then method."""
    same = (of.weight_bits, of.activation_bits) == (other.weight_bits, other.activation_bits)
    parts = _parts(other)
    place = _place(parts) if parts is not None else len(LADDER)
    return not same, other.weight_bits, other.activation_bits, place, other.name


def _parts(recipe: Recipe) -> Parts | None:
    if recipe.is_float or recipe.backend:
        return None
    try:
        return take_apart(recipe.name)
    except GrammarError:
        return None


def _place(parts: Parts) -> int:
    """How far up the ladder a recipe's words reach; 0 for methods that are not on it."""
    words = {word for word in parts.words if SCHEMES[word].role not in _KEPT}
    return max((n for n, rung in enumerate(LADDER) if set(rung.split("+")) <= words), default=0)


def _better(recipe: Recipe, parts: Parts) -> Iterator[str]:
    head, kept = recipe.name.partition("-")[0], _kept(parts)
    if parts.number_format.granularity == "tensor":
        yield recipe.name.replace("_t", "", 1)  # a scale per channel is next to no size
    for rung in LADDER[_place(parts) + 1 :]:
        yield f"{head}-{_ordered(rung, kept)}{_options(parts)}"


def _wider(recipe: Recipe) -> Iterator[str]:
    head, dash, rest = recipe.name.partition("-")
    widths, _, suffix = head.partition("_")
    if not widths.startswith("w"):
        return
    end = f"_{suffix}{dash}{rest}" if suffix else f"{dash}{rest}"
    activations = (recipe.activation_bits, *(bits for bits in _WIDER if bits > recipe.activation_bits))
    for bits in activations[1:]:
        yield f"w{recipe.weight_bits}a{bits}{end}"
    for bits in (bits for bits in _WIDER if bits > recipe.weight_bits):
        for activation in dict.fromkeys((max(activations[0], min(bits, activations[-1])), activations[-1])):
            yield f"w{bits}a{activation}{end}"


def _kept(parts: Parts) -> list[str]:
    return [word for word in parts.words if SCHEMES[word].role in _KEPT]


def _ordered(rung: str, kept: list[str]) -> str:
    """Words in the order in which a name has them."""
    words = [*rung.split("+"), *kept]
    return "+".join(sorted(words, key=lambda word: ROLES.index(SCHEMES[word].role)))


def _options(parts: Parts) -> str:
    """Towers and seed; a smoothing strength belongs to the method that is replaced."""
    towers = f"-{parts.options['towers']}" if "towers" in parts.options else ""
    return towers + (f"-s{parts.options['seed']}" if "seed" in parts.options else "")


def _parsed(name: str) -> Recipe | None:
    """The recipe of that name, None where its parts make no sense together."""
    try:
        return parse_recipe(name)
    except UsageError:
        return None
