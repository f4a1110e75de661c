"""The suffix of a recipe's name that says which kernels run it; imports no torch."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from reliability.errors import UsageError
from reliability.quant.backends.registry import BACKENDS, SUFFIX, able, refusal

if TYPE_CHECKING:
    from reliability.quant.recipe import Recipe


def on_backend(recipe: Recipe, backend: str) -> Recipe:
    """A recipe, run by kernels.

    Args:
        recipe: Simulated.
        backend: A key of ``BACKENDS``.

    Raises:
        UsageError: There is no such backend, or it cannot run the recipe.
    """
    name = f"{recipe.name}{SUFFIX}{backend}"
    if backend not in BACKENDS:
        near = difflib.get_close_matches(backend, BACKENDS, n=1)
        hint = f"did you mean {SUFFIX}{near[0]}? " if near else ""
        raise UsageError(
            where=f"recipe {name!r}", what="unknown backend", got=backend or "nothing",
            next=f"{hint}known backends: {', '.join(BACKENDS)}",
        )  # fmt: skip
    reason = refusal(backend, recipe)
    if reason:
        raise UsageError(
            where=f"recipe {name!r}", what=f"{SUFFIX}{backend} cannot run this: {reason}", got=recipe.name,
            next=f"{_others(recipe)}; {SUFFIX}{backend} runs {BACKENDS[backend].runs}",
        )  # fmt: skip
    return replace(recipe, name=name, backend=backend)


def backend_cards() -> dict[str, str]:
    """Typical recipes on kernels, each with one line."""
    return {
        f"{example}{SUFFIX}{name}": f"{example}, run by {backend.card}"
        for name, backend in BACKENDS.items()
        for example in backend.examples
    }


def _others(recipe: Recipe) -> str:
    others = able(recipe)
    return f"take {' or '.join(SUFFIX + name for name in others)}" if others else f"simulate it: {recipe.name}"
