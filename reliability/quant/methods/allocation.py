"""Spend a budget of bits where they matter most: a knapsack with one choice from each item, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Choice(NamedTuple):
    """One option of an item: what it costs, and the error that it leaves."""

    size: int
    error: float


def allocate(items: Sequence[Sequence[Choice]], budget: int) -> list[int]:
    """The choices of least total error whose total size is within a budget.

    Args:
        items: The options of each item.
        budget: In the unit of the sizes; at least the sum of each item's smallest.

    Returns:
        Number of the chosen option, for each item.

    Conventions:
        Dynamic programming over the items that keeps every pair of size and error that no
        other one beats in both, so the result is exact whatever the sizes are, and no
        rounding of sizes to a common unit is needed. States are few where many items have
        the same sizes, as the layers of a transformer do. Of equal errors the smaller
        size is taken.

    Raises:
        ValueError: Not even the smallest options fit.

    Example:
        >>> allocate([[Choice(2, 9.0), Choice(4, 1.0)], [Choice(2, 5.0), Choice(4, 4.0)]], budget=6)
        [1, 0]
    """
    smallest = [min(choice.size for choice in item) for item in items]
    left = sum(smallest)
    if left > budget:
        raise ValueError(f"the smallest options take {left}, which exceeds the budget of {budget}")
    sizes, errors = np.zeros(1, dtype=np.int64), np.zeros(1)
    steps: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for item, least in zip(items, smallest, strict=True):
        left -= least
        states = len(sizes)
        all_sizes = np.add.outer([choice.size for choice in item], sizes).ravel()
        all_errors = np.add.outer([choice.error for choice in item], errors).ravel()
        kept = _unbeaten(all_sizes, all_errors, budget - left)
        sizes, errors = all_sizes[kept], all_errors[kept]
        steps.append((kept // states, kept % states))
    return _walk_back(steps)


def _unbeaten(sizes: NDArray[np.int64], errors: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """States within a limit that no smaller one equals in error, by size; errors fall."""
    order = np.lexsort((errors, sizes))
    order = order[sizes[order] <= limit]
    least_before = np.minimum.accumulate(np.concatenate([[np.inf], errors[order][:-1]]))
    return order[errors[order] < least_before]


def _walk_back(steps: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> list[int]:
    """The choices that led to the last state, which has the least error."""
    state, chosen = -1, []
    for options, parents in reversed(steps):
        chosen.append(int(options[state]))
        state = int(parents[state])
    return chosen[::-1]
