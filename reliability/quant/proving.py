"""Measure a candidate's coverage proof, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import nn

from reliability.quant.coverage import Contents, Coverage, coverage, has_range
from reliability.quant.proof import FLOAT_BITS, Part, Proof
from reliability.quant.quantizers import RangeQuantizer
from reliability.quant.range_setting import observe
from reliability.quant.recipe import Recipe, Towers
from reliability.quant.saturation import SaturationObserver
from reliability.quant.schemes import ATTENTION, EMBEDDINGS
from reliability.quant.tables import table_rows
from reliability.quant.towers import RangeData

PROOF_PAIRS = 128
"""Range-setting pairs, the first ones, on which saturation and clipping are measured."""


def prove(clip: nn.Module, reference: nn.Module, recipe: Recipe, data: RangeData) -> Proof:
    """Look at every product of a candidate's towers, and at every number that it stores.

    Args:
        clip: The model that is evaluated, in simulated arithmetic.
        reference: Its FP32 original, for the size.
        recipe: What it is declared to be.
        data: Range-setting pairs, of which the first :data:`PROOF_PAIRS` are shown.

    Conventions:
        Multiply-accumulates are those of one picture and one text. Sizes count a code's
        width for every weight on a grid, with the scales and zero points of weights,
        tables and static ranges, and every other saved number as it is. Text positions
        after the end of text do not enter the rates.
    """
    towers: Towers = "both" if recipe.is_float or recipe.towers == "none" else recipe.towers
    data = data.first(min(PROOF_PAIRS, len(data.images)))
    found = Contents.of(clip, towers)
    counted = coverage(clip, data.images[:1], data.tokens[:1], towers, recipe)
    watched = _Watched.over(clip, found, recipe, data)
    return Proof(
        towers=towers,
        pairs=len(data.images),
        size_bits=_saved_bits(clip, found),
        float_size_bits=_float_bits(reference),
        parts=tuple(_parts(found, counted, watched, recipe)),
    )


@dataclass(frozen=True)
class _Watched:
    """What the quantizers of every layer and attention met."""

    quantizers: Mapping[str, Mapping[str, nn.Module]]
    seen: Mapping[str, SaturationObserver]

    @classmethod
    def over(cls, clip: nn.Module, found: Contents, recipe: Recipe, data: RangeData) -> _Watched:
        """Run the towers over the pairs."""
        quantizers = found.quantizers()
        every = {name: q for used in quantizers.values() for name, q in used.items() if hasattr(q, "parts")}
        return cls(quantizers, observe(clip, recipe, data, lambda name: SaturationObserver(every[name]), every))

    def marked(self, part: Part, recipe: Recipe) -> Part:
        """A part with the largest rates of its quantizers, and whether one is too wide, has no range or saw nothing."""
        used = self.quantizers.get(part.name, {})
        wide = any(self.seen[name].quantizer.values.bits > recipe.activation_bits for name in used if name in self.seen)
        counts = [self.seen[name] for name in used if name in self.seen]
        silent = not all(map(has_range, used.values())) or any(not count.seen for count in counts)
        rates = [count.rates for count in counts]
        return replace(
            part,
            wide=part.wide or wide,
            silent=silent,
            saturated=max((saturated for saturated, _ in rates), default=None),
            clipped=max((clipped for _, clipped in rates), default=None),
        )


def _parts(found: Contents, counted: Coverage, watched: _Watched, recipe: Recipe) -> Iterator[Part]:
    claims, off_grid, quantized = not recipe.ends_in_float, set(counted.off_grid), found.quantized
    float_inputs = set(found.float_inputs(recipe))
    for name, layer in found.layers.items():
        weights = layer.weight.numel()
        on_grid = quantized.get(name)
        bits = on_grid.format.storage_bits(layer.weight.shape) if on_grid is not None else FLOAT_BITS * weights
        declared = claims and not recipe.leaves_float(name)
        made = Part(name, "layer", counted.macs[name], on_grid is not None and name not in float_inputs, declared)
        wide = on_grid is not None and not recipe.own_widths and on_grid.format.values.bits > recipe.weight_bits
        made = replace(made, off_grid=name in off_grid, wide=wide, weights=weights, bits=bits)
        yield watched.marked(made, recipe)
    with_attention = claims and recipe.covers(ATTENTION)
    for name in found.products:
        made = Part(name, "attention", counted.macs[name], name not in float_inputs, with_attention)
        yield watched.marked(made, recipe)
    if counted.attention_macs:
        yield Part("attention's own products", "attention", counted.attention_macs, False, with_attention)
    if counted.hidden_macs:
        yield Part("products outside of Linear and Conv2d layers", "other", counted.hidden_macs, False, claims)
    for name, (table, grid) in found.tables.items():
        bits = grid.format.storage_bits(table_rows(table).shape) if grid else FLOAT_BITS * table.numel()
        made = Part(name, "table", 0, grid is not None, claims and recipe.covers(EMBEDDINGS))
        wide = grid is not None and grid.format.values.bits > recipe.weight_bits
        yield replace(made, off_grid=name in off_grid, wide=wide, weights=table.numel(), bits=bits)


def _saved_bits(clip: nn.Module, found: Contents) -> int:
    """Of every number that a state dict holds, those on a grid packed."""
    on_grid = {name: grid for name, (_, grid) in found.tables.items() if grid}
    packed = [layer.format.storage_bits(layer.weight.shape) for layer in found.quantized.values()]
    packed += [grid.format.storage_bits(table_rows(found.tables[name][0]).shape) for name, grid in on_grid.items()]
    ranges = [_range_bits(q) for used in found.quantizers().values() for q in used.values()]
    prefixes = [f"{name}.weight" for name in found.quantized] + list(on_grid)
    prefixes += [name for used in found.quantizers().values() for name in used]
    return sum(packed) + sum(ranges) + _float_bits(clip, tuple(prefixes))


def _range_bits(quantizer: nn.Module) -> int:
    """Of a static range: its scale, and a zero point of a code's width where there is one."""
    if not isinstance(quantizer, RangeQuantizer):
        return 0
    return FLOAT_BITS + quantizer.values.bits * hasattr(quantizer, "zero_point")


def _float_bits(clip: nn.Module, without: tuple[str, ...] = ()) -> int:
    """Of all saved tensors as they are, each counted once, but those whose names begin so."""
    kept = {v.data_ptr(): v for name, v in clip.state_dict().items() if not name.startswith(without)}
    return sum(8 * value.numel() * value.element_size() for value in kept.values())
