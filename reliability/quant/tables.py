"""Embedding tables on a grid: rows that are looked up or added, never multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.formats.values import Scales
from reliability.quant.formats.weights import WeightFormat, weight_format
from reliability.quant.recipe import Recipe, Towers, includes
from reliability.quant.schemes import EMBEDDINGS
from reliability.quant.towers import tower_modules

_NAMES = ("positional_embedding", "class_embedding", "pos_embed", "cls_emb", "cls_token", "reg_token")
"""What bare tables are called in open_clip and timm."""
_SUFFIX = "_grid"


class TableGrid(nn.Module):
    """The scales of a table that its owner keeps as a plain parameter.

    A row has one scale, as an output channel of a layer has, or as the recipe's format
    says. The table itself holds dequantized float32 values, so that code which looks
    rows up or adds them runs unchanged.

    Args:
        format: What the rows are snapped to.
        table: [..., D]; snapped in place.
    """

    scale: Tensor

    def __init__(self, format: WeightFormat, table: Tensor) -> None:
        super().__init__()
        self.format = format
        rows = table_rows(table)
        scales = format.scales(rows)
        for field, value in scales._asdict().items():
            if value is not None:
                self.register_buffer(field, value)
        with torch.no_grad():
            rows.copy_(format.snap(rows, scales))

    @property
    def scales(self) -> Scales:
        """Of the rows."""
        return Scales(*(cast(Tensor, getattr(self, field, None)) for field in Scales._fields))

    def forward(self, table: Tensor) -> Tensor:
        """The nearest values of the format for a table of this shape."""
        return self.format.snap(table_rows(table), self.scales).view(table.shape)


def insert_table_grids(clip: nn.Module, recipe: Recipe) -> None:
    """Put the embedding tables of a recipe's towers on their grid, in place, where the recipe asks for it.

    Raises:
        QuantizationError: The towers have none.
    """
    if not recipe.covers(EMBEDDINGS):
        return
    found = list(tables(clip, recipe.towers))
    if not found:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="the towers have no embedding tables",
            got=f"none of nn.Embedding, {', '.join(_NAMES)}",
            next=f"leave out +{EMBEDDINGS}, or quantize the other tower too",
        )
    for _, owner, attribute in found:
        owner.add_module(attribute + _SUFFIX, TableGrid(weight_format(recipe), owner._parameters[attribute].detach()))


def tables(clip: nn.Module, towers: Towers) -> Iterator[tuple[str, Any, str]]:
    """Name, owner and attribute of every embedding table of the towers."""
    owners: dict[str, nn.Module] = {"": clip} if includes(towers, "text") else {}
    for name, owner in (owners | tower_modules(clip, towers)).items():
        for attribute, parameter in owner._parameters.items():
            table = attribute in _NAMES or (isinstance(owner, nn.Embedding) and attribute == "weight")
            if table and parameter is not None:
                yield f"{name}.{attribute}".lstrip("."), owner, attribute


def grid_of(owner: nn.Module, attribute: str) -> TableGrid | None:
    """The grid of an owner's table, None where it is in float."""
    return cast("TableGrid | None", owner._modules.get(attribute + _SUFFIX))


def table_rows(table: Tensor) -> Tensor:
    """A table [..., D] as [rows, D] of the same memory."""
    return table.view(-1, table.shape[-1])
