"""Proof of what a quantized model really computes in low precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.attention import QuantProducts
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, scales_of
from reliability.quant.macs import count_macs
from reliability.quant.recipe import EACH_TOWER, Recipe, Towers
from reliability.quant.schemes import ATTENTION, EMBEDDINGS
from reliability.quant.tables import TableGrid, grid_of, table_rows, tables
from reliability.quant.towers import gemm_layers, tower_modules

_ON_GRID = 1e-3
"""Distance from a format's value, in steps, that float rounding cannot explain."""


@dataclass(frozen=True)
class Coverage:
    """Multiply-accumulates of one forward pass through the examined towers, and what is wrong with it.

    Attributes:
        macs: Of every Linear and Conv2d layer and of every attention whose products are
            quantized, under the names of their modules.
        quantized_macs: In quantized Linear and Conv2d layers.
        float_macs: In Linear and Conv2d layers left in float, also by declaration.
        hidden_macs: In other products with weights, such as a bare projection matrix.
        attention_macs: In attention's own two products of activations, where they are in
            float; they are no part of :attr:`share`.
        float_layers: Layers in float, or with inputs in float, that no declaration leaves there.
        without_range: Quantizers that never got a range.
        off_grid: Layers and embedding tables with a weight that is none of its format's values.
        never_run: Quantized layers and attentions that the forward pass did not reach.
        float_extras: What the recipe quantizes beside layers and is in float all the same.
    """

    macs: Mapping[str, int]
    quantized_macs: int
    float_macs: int
    hidden_macs: int
    attention_macs: int
    float_layers: tuple[str, ...]
    without_range: tuple[str, ...]
    off_grid: tuple[str, ...]
    never_run: tuple[str, ...]
    float_extras: tuple[str, ...]

    @property
    def share(self) -> float:
        """Quantized share of all products with weights, in [0, 1]; 0 where there are none."""
        total = self.quantized_macs + self.float_macs + self.hidden_macs
        return self.quantized_macs / total if total else 0.0

    @property
    def complete(self) -> bool:
        """Whether all that is not declared float is quantized, ran, has its range and lies on its grid."""
        return self.quantized_macs > 0 and not self._faults()

    def _faults(self) -> list[str]:
        named = {
            "left in float": self.float_layers + self.float_extras,
            "without a range": self.without_range,
            "off their grid": self.off_grid,
            "never run": self.never_run,
        }
        hidden = f"{self.hidden_macs:,} multiply-accumulates outside Linear and Conv2d layers"
        return [hidden] * (self.hidden_macs > 0) + [f"{what}: {', '.join(who)}" for what, who in named.items() if who]

    def require_complete(self, where: str) -> None:
        """Raise a QuantizationError that says what is missing."""
        if self.complete:
            return
        raise QuantizationError(
            where=where,
            what=f"only {self.share:.1%} of the tower's products with weights ran as the recipe says",
            got="; ".join(self._faults()) or "no product at all",
            next="quantize a tower made of Linear, Conv2d and nn.MultiheadAttention, or report this one's type",
        )

    def require_float(self, where: str) -> None:
        """Raise a QuantizationError unless nothing is quantized, as in a control that only trained like a candidate."""
        if self.quantized_macs:
            raise QuantizationError(
                where=where,
                what="a control that must end in float has quantized layers",
                got=f"{self.share:.1%} of its products with weights",
                next="report this: the recipe's method left its grid in place",
            )


@dataclass(frozen=True)
class Contents:
    """What a coverage proof is about: modules of some towers, by name.

    Attributes:
        layers: All Linear and Conv2d layers.
        products: Attentions whose products are quantized.
        tables: Embedding tables with their grids, None for those in float.
    """

    layers: Mapping[str, nn.Linear | nn.Conv2d]
    products: Mapping[str, QuantProducts]
    tables: Mapping[str, tuple[Tensor, TableGrid | None]]

    @classmethod
    def of(cls, clip: nn.Module, towers: Towers) -> Contents:
        """Find them."""
        products = {n: m for n, m in tower_modules(clip, towers).items() if isinstance(m, QuantProducts)}
        found = {n: (owner._parameters[a], grid_of(owner, a)) for n, owner, a in tables(clip, towers)}
        return cls(gemm_layers(clip, towers), products, found)

    @property
    def quantized(self) -> dict[str, QuantLayer]:
        """The layers with a grid."""
        return {name: m for name, m in self.layers.items() if isinstance(m, (QuantLinear, QuantConv2d))}

    def quantizers(self) -> dict[str, dict[str, nn.Module]]:
        """Layer or attention to what quantizes its inputs, by name."""
        found = {name: {f"{name}.activation": layer.activation} for name, layer in self.quantized.items()}
        for name, module in self.products.items():
            found[name] = {f"{name}.{factor}": quantizer for factor, quantizer in module.named_children()}
        return found

    def float_inputs(self, recipe: Recipe) -> tuple[str, ...]:
        """Layers and attentions with an input that stays in float although the recipe quantizes activations."""
        found = self.quantizers() if recipe.activation != "none" else {}
        return tuple(name for name, used in found.items() if any(isinstance(q, nn.Identity) for q in used.values()))

    def without_range(self) -> tuple[str, ...]:
        """Layers and attentions with a quantizer that never got a range."""
        return tuple(name for name, used in self.quantizers().items() if not all(map(has_range, used.values())))

    def off_grid(self) -> tuple[str, ...]:
        """Layers and tables with a weight that is none of its format's values, or with one scale for all channels."""
        layers = (n for n, layer in self.quantized.items() if not _layer_on_grid(layer) or _shares_a_scale(layer))
        return (*layers, *(name for name, (table, grid) in self.tables.items() if grid and not _on_grid(table, grid)))


def coverage(
    clip: nn.Module, images: Tensor, tokens: Tensor, towers: Towers | None = None, recipe: Recipe | None = None
) -> Coverage:
    """Count the multiply-accumulates of a forward pass by how they were computed.

    Args:
        clip: Quantized model.
        images: [N, 3, H, W]; one is enough.
        tokens: [N, L].
        towers: Which to examine; None examines those that hold a quantized
            layer, or both if none does.
        recipe: Says what is to be quantized beside layers, and which layers are not;
            None asks for every layer and nothing else.

    Conventions:
        A weight-only layer counts as quantized. Text positions after the end of
        text count, because they are computed.
    """
    towers = towers or _quantized_towers(clip)
    found = Contents.of(clip, towers)
    counted = count_macs(clip, {**found.layers, **found.products}, images, tokens, towers)
    macs, quantized = counted.by_module, found.quantized
    left = {name: macs[name] for name in found.layers if name not in quantized and macs[name]}
    attention = counted.attention - sum(macs[name] for name in found.products)
    return Coverage(
        macs=macs,
        quantized_macs=sum(macs[name] for name in quantized),
        float_macs=sum(left.values()),
        hidden_macs=counted.everything - counted.attention - sum(macs[name] for name in found.layers),
        attention_macs=attention,
        float_layers=tuple(name for name in left if not (recipe and recipe.leaves_float(name)))
        + (found.float_inputs(recipe) if recipe else ()),
        without_range=found.without_range(),
        off_grid=found.off_grid(),
        never_run=tuple(name for name in (*quantized, *found.products) if not macs[name]),
        float_extras=_float_extras(recipe, attention, found) if recipe else (),
    )


def has_range(quantizer: nn.Module) -> bool:
    """Whether a quantizer has a range, or needs none."""
    return bool(getattr(quantizer, "has_range", True))


def _float_extras(recipe: Recipe, attention_macs: int, found: Contents) -> tuple[str, ...]:
    attention = ("attention's own products",) if recipe.covers(ATTENTION) and attention_macs else ()
    bare = (name for name, (_, grid) in found.tables.items() if recipe.covers(EMBEDDINGS) and grid is None)
    return (*attention, *bare)


def _quantized_towers(clip: nn.Module) -> Towers:
    vision, text = (bool(Contents.of(clip, tower).quantized) for tower in EACH_TOWER)
    return "both" if vision == text else "vision" if vision else "text"


def _layer_on_grid(layer: QuantLayer) -> bool:
    return layer.format.steps_off(layer.weight, scales_of(layer)) <= _ON_GRID


def _shares_a_scale(layer: QuantLayer) -> bool:
    """Whether channels that should have a scale each all have the same, though their weights differ in size.

    Training may move scales anywhere, but not several onto one number.
    """
    scale = layer.weight_scale.flatten()
    if layer.format.sharing.unit != "channel" or len(scale) < 2 or len(scale) != len(layer.weight):
        return False
    largest = layer.weight.abs().flatten(1).amax(1)
    return bool((scale == scale[0]).all()) and not bool((largest == largest[0]).all())


def _on_grid(table: Tensor, grid: TableGrid) -> bool:
    return grid.format.steps_off(table_rows(table), grid.scales) <= _ON_GRID
