"""From simulated candidates to real ones; each backend's module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import nn

from reliability.quant.backends.proof import require_kernels
from reliability.quant.backends.registry import BACKENDS, require_available
from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData

_PACKAGE = "reliability.quant.backends"


def to_kernels(simulated: nn.Module, recipe: Recipe, data: RangeData) -> nn.Module:
    """A candidate run by its recipe's kernels.

    Args:
        simulated: What the recipe's simulation was prepared to; it is consumed.
        recipe: Names a backend.
        data: Range-setting pairs, as examples of inputs; nothing is fitted to them.

    Raises:
        MissingExtraError: A package is not installed.
        QuantizationError: The kernels do not run on this device, a layer cannot be run by
            them, or a product that they should have computed was not.
    """
    device = next(simulated.parameters()).device
    require_available((recipe,), device.type)
    real = _module(recipe).convert(simulated, recipe, data).requires_grad_(False).eval()
    require_kernels(real, recipe, data.first(1).to(device))
    return real  # type: ignore[no-any-return]


def kernel_structure(simulated: nn.Module, recipe: Recipe) -> nn.Module:
    """What :func:`to_kernels` gives, from a skeleton of the simulation: a state is still to be loaded."""
    require_available((recipe,), next(simulated.parameters()).device.type)
    return _module(recipe).structure(simulated, recipe).requires_grad_(False).eval()  # type: ignore[no-any-return]


def _module(recipe: Recipe) -> Any:
    """Its ``convert(simulated, recipe, data)`` and ``structure(simulated, recipe)`` return the real model."""
    return import_module(f"{_PACKAGE}.{BACKENDS[recipe.backend].module}")
