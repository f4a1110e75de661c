"""What is reconstructed as one: residual blocks, and each layer outside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reliability.quant.methods.caption_loss import inputs_of
from reliability.quant.observers import unseen
from reliability.quant.recipe import EACH_TOWER, Recipe, Tower
from reliability.quant.towers import RangeData, encode


@dataclass(frozen=True)
class Unit:
    """A module that takes part in a forward pass, and the layers in it.

    Attributes:
        name: Of the module.
        tower: In which it runs.
        layers: Names of its layers within the module, ``""`` where it is one itself.
    """

    name: str
    tower: Tower
    layers: tuple[str, ...]

    def full_name(self, layer: str) -> str:
        """Name of one of its layers within the model."""
        return f"{self.name}.{layer}" if layer else self.name


def find_units(model: nn.Module, layers: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Names of units, each with its layers' names within it; every layer is in one unit.

    Args:
        model: Whose modules are looked through.
        layers: Names of the layers.

    Conventions:
        A block is an item of a list of modules (``ModuleList``, ``Sequential``) with at
        least two layers and no such item inside. That finds the residual blocks of
        transformers, ResNets and ConvNeXts by structure. Any other layer is a unit.
    """
    blocks = {name: found for name in _items(model) if len(found := _inside(name, layers)) > 1}
    innermost = {name: found for name, found in blocks.items() if not any(_inside(name, blocks))}
    taken = {f"{name}.{layer}" for name, found in innermost.items() for layer in found}
    return innermost | {name: ("",) for name in layers if name not in taken}


def units_in_order(model: nn.Module, recipe: Recipe, data: RangeData, layers: Collection[str]) -> list[Unit]:
    """The units of a recipe's towers in the order in which they first run.

    Raises:
        QuantizationError: A unit does not run.
    """
    found = find_units(model, layers)
    order: dict[str, Tower] = {}
    for tower in EACH_TOWER:
        if recipe.quantizes(tower):
            order |= dict.fromkeys(_running(model, found, tower, inputs_of(data, tower)[:1]), tower)
    for name in found:
        if name not in order:
            raise unseen(name)
    return [Unit(name, tower, found[name]) for name, tower in order.items()]


@torch.no_grad()
def _running(model: nn.Module, names: Collection[str], tower: Tower, inputs: Tensor) -> list[str]:
    """Names of the modules that a tower runs, in order."""
    order: list[str] = []
    with ExitStack() as stack:
        for name in names:
            stack.callback(model.get_submodule(name).register_forward_pre_hook(_noting(name, order)).remove)
        encode(model, tower, inputs)
    return order


def _noting(name: str, order: list[str]) -> Callable[[nn.Module, Any], None]:
    def note(module: nn.Module, inputs: Any) -> None:
        del module, inputs
        if name not in order:
            order.append(name)

    return note


def _items(model: nn.Module) -> list[str]:
    """Names of the items of all lists of modules."""
    lists = ((name, module) for name, module in model.named_modules() if isinstance(module, _LISTS))
    return [f"{name}.{item}" if name else item for name, module in lists for item, _ in module.named_children()]


_LISTS = (nn.ModuleList, nn.Sequential)


def _inside(name: str, others: Collection[str]) -> tuple[str, ...]:
    """What others are called within a module of this name, for those that lie inside."""
    return tuple(other.removeprefix(f"{name}.") for other in others if other.startswith(f"{name}."))
