"""Recipes: frozen, named descriptions of a quantization. Imports no torch.

A scheme (the word after the bit widths) is one line of :data:`SCHEMES`; it names
the method that is looked up in ``reliability.quant.methods.registry``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn

from reliability.errors import UsageError

Activation = Literal["static", "dynamic", "none"]
RangeSetting = Literal["minmax", "percentile", "none"]
Tower = Literal["vision", "text"]
Towers = Literal["vision", "text", "both"]
EACH_TOWER: tuple[Tower, ...] = ("vision", "text")

FLOAT_BITS = 16
"""``a16``: activations are left in floating point."""
PERCENTILE = 99.99
"""Upper percentile of a percentile range; the lower one mirrors it."""

_GRAMMAR = "w{2..8}a{2..8|16}-{scheme}[-a{alpha}][-text|-both][-s{seed}], or fp32"
_BITS = re.compile(r"w([2-8])a([2-8]|16)")
_SUFFIXES = {
    "alpha": re.compile(r"a(0(?:\.\d+)?|1(?:\.0+)?)"),
    "towers": re.compile(r"(text|both)"),
    "seed": re.compile(r"s(0|[1-9]\d{0,8})"),
}


@dataclass(frozen=True)
class QatSettings:
    """Quantization-aware training of the learned-step-size scheme.

    Attributes:
        steps: Optimizer steps.
        batch: Image-caption pairs per step.
        learning_rate: Peak rate of the model's own parameters, cosine to 0.
        step_size_rate: Peak rate of each activation step, as a share of its initial value.
    """

    steps: int = 100
    batch: int = 32
    learning_rate: float = 5e-5
    step_size_rate: float = 2e-2


@dataclass(frozen=True)
class Scheme:
    """What the scheme part of a recipe's name stands for.

    Attributes:
        method: Key into the registry of methods.
        activation, range_setting, alpha, qat: As in :class:`Recipe`.
        weight_only: Whether ``a16`` makes sense.
        card: One phrase for a listing.
    """

    method: str
    activation: Activation
    range_setting: RangeSetting
    card: str
    weight_only: bool = False
    alpha: float | None = None
    qat: QatSettings | None = None


SCHEMES: dict[str, Scheme] = {
    "minmax": Scheme("rtn", "static", "minmax", "round to nearest, static min/max ranges", weight_only=True),
    "percentile": Scheme("rtn", "static", "percentile", f"round to nearest, static {PERCENTILE} percentile ranges"),
    "dynamic": Scheme("rtn", "dynamic", "none", "round to nearest, per-token dynamic activations"),
    "smoothquant": Scheme("smoothquant", "static", "minmax", "SmoothQuant, static min/max ranges", alpha=0.5),
    "lsq": Scheme("lsq", "static", "minmax", "quantization-aware training, learned step sizes", qat=QatSettings()),
}
"""Scheme name to meaning; a new scheme is one line here and one method."""


@dataclass(frozen=True)
class Recipe:
    """One quantization of a CLIP, complete enough to repeat it.

    Attributes:
        name: As the user wrote it.
        weight_bits: Width of weight codes, 32 for FP32.
        activation_bits: Width of activation codes; 16 leaves them in float, 32 for FP32.
        activation: ``static`` per-tensor asymmetric, ``dynamic`` per-token symmetric, or ``none``.
        method: Key into the registry of methods.
        range_setting: How static ranges are set.
        towers: Which towers are quantized; the other one is left untouched.
        alpha: SmoothQuant's migration strength in [0, 1], None for other methods.
        qat: Training settings, None for post-training methods.
        range_images: Image-caption pairs that ranges (and training) use.
        seed: Of the range-setting draw and of the training order.
    """

    name: str
    weight_bits: int
    activation_bits: int
    activation: Activation
    method: str
    range_setting: RangeSetting
    towers: Towers = "vision"
    alpha: float | None = None
    qat: QatSettings | None = None
    range_images: int = 512
    seed: int = 0

    @property
    def is_float(self) -> bool:
        """Whether this is the identity control."""
        return self.method == "identity"

    def quantizes(self, tower: Tower) -> bool:
        """Whether this tower is changed at all."""
        return not self.is_float and includes(self.towers, tower)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the quantized weights depend on, JSON-serialisable; names with one meaning share it."""
        if self.is_float:
            return {"method": self.method}
        fields = {key: value for key, value in asdict(self).items() if key != "name"}
        return fields | {"percentile": PERCENTILE if self.range_setting == "percentile" else None}


def includes(towers: Towers, tower: Tower) -> bool:
    """Whether a choice of towers includes one of them."""
    return towers in (tower, "both")


FP32 = Recipe("fp32", 32, 32, "none", "identity", "none", range_images=0)


def parse_recipe(name: str) -> Recipe:
    """Read a recipe's name.

    Args:
        name: ``fp32`` or ``w{2..8}a{2..8|16}-{scheme}[-a{alpha}][-text|-both][-s{seed}]``.

    Raises:
        UsageError: A part is unknown, out of order, or senseless with the others.

    Conventions:
        The vision tower is quantized unless ``-text`` or ``-both`` says otherwise.
        ``a16`` (weights only) goes with ``minmax`` alone: the other schemes are
        about activations.

    Example:
        >>> parse_recipe("w4a8-smoothquant-a0.75-both-s3").alpha
        0.75
    """
    if name == "fp32":
        return FP32
    bits, *parts = name.split("-")
    widths = _BITS.fullmatch(bits)
    if widths is None:
        _refuse(name, "the bit widths are not w2 to w8 with a2 to a8 or a16", bits)
    if not parts or parts[0] not in SCHEMES:
        known = ", ".join(SCHEMES)
        _refuse(name, f"the scheme is not one of {known}", parts[0] if parts else "")
    scheme = SCHEMES[parts[0]]
    suffixes = _read_suffixes(name, parts[1:])
    weight_bits, activation_bits = int(widths[1]), int(widths[2])
    if activation_bits == FLOAT_BITS and not scheme.weight_only:
        _refuse(name, f"a16 leaves activations in float, but {parts[0]} is about quantizing them", bits)
    if "alpha" in suffixes and scheme.alpha is None:
        _refuse(name, f"{parts[0]} has no smoothing strength", f"a{suffixes['alpha']}")
    weight_only = activation_bits == FLOAT_BITS
    return Recipe(
        name=name,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        activation="none" if weight_only else scheme.activation,
        method=scheme.method,
        range_setting="none" if weight_only else scheme.range_setting,
        towers=suffixes.get("towers", "vision"),  # type: ignore[arg-type]
        alpha=float(suffixes["alpha"]) if "alpha" in suffixes else scheme.alpha,
        qat=scheme.qat,
        seed=int(suffixes.get("seed", "0")),
    )


def list_recipes() -> dict[str, str]:
    """Typical recipe names, each with one line on what it does; any name of the grammar works."""
    cards = {"fp32": "the reference itself, an identity control"}
    for bits in ("w8a8", "w6a8", "w4a8", "w4a4"):
        cards |= {f"{bits}-{name}": f"{_widths(bits)}: {scheme.card}" for name, scheme in SCHEMES.items()}
    for bits in ("w8a16", "w4a16"):
        cards[f"{bits}-minmax"] = f"{_widths(bits)}: round to nearest, weights only"
    return cards


def _widths(bits: str) -> str:
    weight, activation = bits[1:].split("a")
    return f"{weight}-bit weights, {activation}-bit activations"


def _read_suffixes(name: str, parts: list[str]) -> dict[str, str]:
    """Suffix kind to text, for parts that must follow the order of the grammar."""
    found: dict[str, str] = {}
    left = list(parts)
    for kind, pattern in _SUFFIXES.items():
        match = pattern.fullmatch(left[0]) if left else None
        if match is not None:
            found[kind] = match[1]
            left.pop(0)
    if left:
        _refuse(name, "a suffix is unknown, repeated or out of order", left[0])
    return found


def _refuse(name: str, what: str, got: str) -> NoReturn:
    close = difflib.get_close_matches(name, list_recipes(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(where=f"recipe {name!r}", what=what, got=got or "nothing", next=f"{hint}the grammar is {_GRAMMAR}")
