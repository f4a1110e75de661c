"""What of a candidate ran in low precision, product by product: plain figures, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reliability.errors import UndefinedMetricError

Kind = Literal["layer", "attention", "table", "other"]
"""A Linear or Conv2d, the two products of one attention, an embedding table, or products outside of these."""

FLOAT_BITS = 32
_MIB = 8 * 2**20
ALWAYS_FLOAT = "normalisation, softmax, activation functions, biases and sums"


@dataclass(frozen=True)
class Part:
    """One layer, attention or table of the towers that a recipe names.

    Attributes:
        name: In the model.
        kind: What it is.
        macs: Multiply-accumulates for one picture and one text; a table has none.
        quantized: Whether weights are on a grid, and inputs too where the recipe quantizes them.
        declared: Whether the recipe says so.
        silent: Whether an observer never fired: a range that was never set, or a quantizer that saw nothing.
        off_grid: Whether a weight is none of its format's values.
        wide: Whether weights or inputs have codes of more bits than the recipe says.
        weights, bits: Number of weights, and what they take up with scales and zero points.
        saturated: Share of inputs on the outermost values of their grid; None without a grid.
        clipped: Share of inputs beyond the grid by more than rounding; None without a grid.
    """

    name: str
    kind: Kind
    macs: int
    quantized: bool
    declared: bool
    silent: bool = False
    off_grid: bool = False
    wide: bool = False
    weights: int = 0
    bits: int = 0
    saturated: float | None = None
    clipped: float | None = None

    @property
    def fault(self) -> str:
        """What is not as declared; empty where nothing is."""
        if self.declared and not self.quantized:
            return "left in float"
        if self.quantized and not self.declared:
            return "quantized although declared float"
        if self.declared and self.kind != "table" and not self.macs:
            return "never run"
        if self.silent:
            return "an observer never fired"
        if self.wide:
            return "codes of more bits than declared"
        return "weights off their grid" if self.off_grid else ""


@dataclass(frozen=True)
class Proof:
    """What ran in low precision in the towers that a recipe names.

    Attributes:
        towers: ``vision``, ``text`` or ``both``.
        pairs: Range-setting pairs on which rates were measured.
        size_bits: Of the whole model as stored without gaps, both towers.
        float_size_bits: Of its reference.
        parts: In the order of the model.
    """

    towers: str
    pairs: int
    size_bits: int
    float_size_bits: int
    parts: tuple[Part, ...]

    @property
    def macs(self) -> int:
        """All multiply-accumulates.

        Raises:
            UndefinedMetricError: There are none, so no share has a value.
        """
        total = sum(part.macs for part in self.parts)
        if not total:
            raise UndefinedMetricError(
                where="coverage proof",
                what="the towers ran no matrix product and no convolution",
                next="check that encode_image and encode_text run the model",
            )
        return total

    @property
    def quantized_share(self) -> float:
        """Share of all multiply-accumulates that ran quantized."""
        return sum(part.macs for part in self.parts if part.quantized) / self.macs

    @property
    def declared_share(self) -> float:
        """Share of all multiply-accumulates that ran as the recipe declares."""
        total = self.macs
        return (total - sum(part.macs for part in self.faulty)) / total

    @property
    def faulty(self) -> tuple[Part, ...]:
        """Parts that are not as declared."""
        return tuple(part for part in self.parts if part.fault)

    @property
    def clipped(self) -> float:
        """Largest share of clipped inputs of any part; 0 without grids for inputs."""
        return max((part.clipped for part in self.parts if part.clipped is not None), default=0.0)

    @property
    def saturated(self) -> float:
        """Largest share of saturated inputs of any part; 0 without grids for inputs."""
        return max((part.saturated for part in self.parts if part.saturated is not None), default=0.0)

    @property
    def bits_per_weight(self) -> float:
        """Of all layers, and of tables that are on a grid, with scales and zero points."""
        counted = [part for part in self.parts if part.kind == "layer" or (part.kind == "table" and part.quantized)]
        return sum(part.bits for part in counted) / sum(part.weights for part in counted)

    @property
    def size_mib(self) -> float:
        """Of the whole model."""
        return self.size_bits / _MIB

    @property
    def float_size_mib(self) -> float:
        """Of the whole reference."""
        return self.float_size_bits / _MIB

    def left_float(self) -> list[str]:
        """What stays in float by declaration, in words; the last entry is what always does."""
        kept = [part for part in self.parts if not part.declared and not part.quantized]
        if len(kept) == len(self.parts):
            return ["everything"]
        words = [_in_words(kind, group, self.macs) for kind in _WORDS if (group := [p for p in kept if p.kind == kind])]
        return [*words, ALWAYS_FLOAT]

    def worst(self, most: int) -> list[Part]:
        """The parts with a fault, then those that clip most, then those that saturate most; none that do neither."""
        lossy = [part for part in self.parts if part.fault or part.clipped or part.saturated]
        return sorted(lossy, key=lambda p: (not p.fault, -(p.clipped or 0.0), -(p.saturated or 0.0)))[:most]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Proof:
        """The inverse of :meth:`to_dict`, also after JSON.

        Raises:
            KeyError, TypeError: The data are no proof.
        """
        return cls(**{**data, "parts": tuple(Part(**part) for part in data["parts"])})


_WORDS: Mapping[Kind, str] = {
    "layer": "{names}",
    "attention": "attention's own products",
    "other": "products outside of Linear and Conv2d layers",
    "table": "embedding tables",
}
_NAMED = 3


def _in_words(kind: Kind, parts: Sequence[Part], total: int) -> str:
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    text = _WORDS[kind].format(names=", ".join(part.name for part in parts[:_NAMED]) + more)
    if kind == "table":
        return f"{text} ({sum(part.bits for part in parts) / _MIB:.2f} MiB)"
    return f"{text} ({sum(part.macs for part in parts) / total:.1%} of multiply-accumulates)"
