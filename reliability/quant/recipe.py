"""Recipes: frozen, named descriptions of a quantization. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from reliability.errors import UsageError
from reliability.quant.backends.naming import backend_cards, on_backend
from reliability.quant.backends.registry import SUFFIX
from reliability.quant.grammar import FULL_BITS, GRAMMAR, GrammarError, Parts, take_apart
from reliability.quant.number_format import FAMILIES, INTEGERS, PLAIN_INTEGERS, Activation, NumberFormat
from reliability.quant.schemes import PERCENTILE, SCHEMES, QatSettings, Scheme

__all__ = [
    "AUTO", "EACH_TOWER", "FP32", "PERCENTILE", "SCHEMES", "Activation", "NumberFormat", "QatSettings",
    "RangeSetting", "Recipe", "Tower", "Towers", "includes", "list_recipes", "parse_recipe",
]  # fmt: skip

RangeSetting = Literal["minmax", "ema", "percentile", "mse", "entropy", "none"]
Tower = Literal["vision", "text"]
Towers = Literal["vision", "text", "both", "none"]
AUTO: Literal["auto"] = "auto"
"""A smoothing strength that is searched for."""
EACH_TOWER: tuple[Tower, ...] = ("vision", "text")


@dataclass(frozen=True)
class Recipe:
    """One quantization of a CLIP, complete enough to repeat it.

    Attributes:
        name: As the user wrote it.
        weight_bits: Width of one weight's code, 32 for FP32.
        activation_bits: Width of activation codes; 16 leaves them in float, 32 for FP32.
        activation: ``static`` per tensor (integers asymmetric, floats symmetric), ``dynamic``
            per-token symmetric, ``block`` with scales from the data, or ``none``.
        method: Transforms, then rounding or training, joined by ``+``; ``rtn`` where only
            round to nearest is left.
        range_setting: How static ranges are set.
        towers: Which towers are quantized; the others are left untouched.
        alpha: SmoothQuant's migration strength in [0, 1], ``auto`` where each fold has the one
            of least error, None for other methods.
        qat: Training settings, None for post-training methods.
        range_images: Image-caption pairs that ranges (and training) use.
        seed: Of the range-setting draw and of the training order.
        number_format: The numbers that codes stand for.
        percentile: Upper percentile of percentile ranges; others ignore it.
        backend: Kernels that run it, a key of ``BACKENDS``; empty where it is simulated.
        also: Words joined by ``+`` for what is quantized beside the towers' Linear and Conv2d layers.
        float_layers: Globs on names of layers that stay in float by declaration, separated by spaces.
    """

    name: str
    weight_bits: int
    activation_bits: int
    activation: Activation
    method: str
    range_setting: RangeSetting
    towers: Towers = "vision"
    alpha: float | Literal["auto"] | None = None
    qat: QatSettings | None = None
    range_images: int = 512
    seed: int = 0
    number_format: NumberFormat = PLAIN_INTEGERS
    percentile: float = PERCENTILE
    backend: str = ""
    also: str = ""
    float_layers: str = ""

    @property
    def simulated(self) -> Recipe:
        """The same quantization in simulated arithmetic, which kernels are held against."""
        return replace(self, name=self.name.partition(SUFFIX)[0], backend="") if self.backend else self

    @property
    def is_float(self) -> bool:
        """Whether this is the identity control."""
        return self.method == "identity"

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the methods in the order in which they run."""
        return tuple(self.method.split("+"))

    def covers(self, extra: str) -> bool:
        """Whether something beside layers, such as ``attention``, is quantized too."""
        return extra in self.also.split("+")

    def leaves_float(self, layer: str) -> bool:
        """Whether a layer of this name stays in float by declaration."""
        return any(fnmatchcase(layer, pattern) for pattern in self.float_layers.split())

    def quantizes(self, tower: Tower) -> bool:
        """Whether this tower is changed at all."""
        return not self.is_float and includes(self.towers, tower)

    def changes(self, tower: Tower) -> bool:
        """Whether evaluations see anything else of this tower; a refitted logit scale goes with the text."""
        return self.quantizes(tower) or (tower == "text" and self._has(lambda scheme: scheme.role == "head"))

    @property
    def depends_on_draw(self) -> bool:
        """Whether another seed gives another candidate; if not, one is as good as all."""
        return self.activation == "static" or self._has(lambda scheme: scheme.uses_draw)

    @property
    def own_widths(self) -> bool:
        """Whether each layer's weights have a width of their own, and the format's on average."""
        return self._has(lambda scheme: scheme.own_widths)

    @property
    def half_integers(self) -> bool:
        """Whether weight codes stand for half-integers."""
        return self._has(lambda scheme: scheme.half_integers)

    @property
    def ends_in_float(self) -> bool:
        """Whether the result has no grid: FP32 itself, or a control that only trains as if it had one."""
        return self.weight_bits == FULL_BITS or self._has(lambda scheme: scheme.ends_in_float)

    def _has(self, holds: Callable[[Scheme], bool]) -> bool:
        return any(holds(SCHEMES[stage]) for stage in self.stages if stage in SCHEMES)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the quantized weights depend on, JSON-serialisable; names with one meaning share it.

        Settings that came later than others are left out at their default, so that
        what was computed before them keeps its address.
        """
        if self.is_float:
            return {"method": self.method}
        fields = {key: value for key, value in asdict(self).items() if key != "name"}
        if self.number_format == PLAIN_INTEGERS:
            del fields["number_format"]
        for later in ("backend", "also", "float_layers"):
            if not fields[later]:
                del fields[later]
        if self.qat:
            fields["qat"] = self.qat.identity
        return fields | {"percentile": self.percentile if self.range_setting == "percentile" else None}


def includes(towers: Towers, tower: Tower) -> bool:
    """Whether a choice of towers includes one of them."""
    return towers in (tower, "both")


FP32 = Recipe("fp32", 32, 32, "none", "identity", "none", range_images=0)


def parse_recipe(name: str) -> Recipe:
    """Read a recipe's name.

    Args:
        name: ``fp32``, ``fp32-tunescale[-s{seed}]`` or
            ``FORMAT-SCHEME{+SCHEME}[-a{alpha}|-auto][-text|-both][-s{seed}][@BACKEND]``.

    Raises:
        UsageError: A part is unknown, out of order, or senseless with the others, or the
            backend cannot run the rest.

    Conventions:
        FORMAT is ``w{2..8}a{2..8|16}``, which may be followed by ``_t`` (one scale
        per tensor) or ``_g32``, ``_g64``, ``_g128`` (one per group of inputs) instead
        of one per output channel, and by ``_asym`` (weights with a zero point); all
        three are about weights. Or it is one of ``fp8 fp8e5m2 mxfp8 mxfp6 mxfp4
        mxint8 nvfp4`` for weights and activations alike; ``_ceil`` rounds the scales
        of an mx format up. Schemes are joined in the order in which they run:
        transforms, widths, ranges, rounding or training, then the head. Without a word for
        ranges they are min/max (of least squared error for ``lsqplus``), without one for
        rounding it is to nearest. The vision tower is quantized unless ``-text`` or
        ``-both`` says otherwise. Without a backend, arithmetic is simulated in float32.

    Example:
        >>> parse_recipe("w4a8-smoothquant-a0.75-both-s3").alpha
        0.75
        >>> parse_recipe("w4a8_g64-smoothquant+mse").number_format.granularity
        64
    """
    plain, at, backend = name.partition(SUFFIX)
    recipe = FP32 if plain == "fp32" else _parsed(plain)
    return on_backend(recipe, backend) if at else recipe


def _parsed(name: str) -> Recipe:
    try:
        return _recipe(name, take_apart(name))
    except GrammarError as fault:
        close = difflib.get_close_matches(name, list_recipes(), n=3, cutoff=0.5)
        hint = fault.advice or (f"did you mean {' or '.join(close)}?" if close else "correct that part")
        raise UsageError(
            where=f"recipe {name!r}", what=fault.what, got=fault.got, next=f"{hint}; the grammar is {GRAMMAR}"
        ) from None


def _recipe(name: str, parts: Parts) -> Recipe:
    activation = _activation(parts)
    alphas = [scheme.alpha for scheme in (SCHEMES[word] for word in parts.words) if scheme.alpha is not None]
    training = parts.word("training")
    return Recipe(
        name=name,
        weight_bits=parts.weight_bits,
        activation_bits=parts.activation_bits,
        activation=activation,
        method=_method(parts),
        range_setting=_range_setting(parts) if activation == "static" else "none",  # type: ignore[arg-type]
        towers="none" if parts.unquantized else parts.options.get("towers", "vision"),  # type: ignore[arg-type]
        alpha=_strength(parts.options["alpha"]) if "alpha" in parts.options else next(iter(alphas), None),
        qat=SCHEMES[training].qat if training else None,
        seed=int(parts.options.get("seed", "0")),
        number_format=parts.number_format,
        also="+".join(sorted(word for word in parts.words if SCHEMES[word].role == "extra")),
    )


def _strength(text: str) -> float | Literal["auto"]:
    return AUTO if text == AUTO else float(text)


def _activation(parts: Parts) -> Activation:
    if parts.float_activations:
        return "none"
    ranges = parts.word("ranges")
    if ranges:
        return SCHEMES[ranges].activation
    family = parts.number_format.family
    return "static" if family == INTEGERS else FAMILIES[family].activation


def _range_setting(parts: Parts) -> str:
    training = parts.word("training")
    return parts.word("ranges") or (SCHEMES[training].static_range if training else "minmax")


def _method(parts: Parts) -> str:
    """The words that the registry of methods knows, without a round to nearest that goes without saying."""
    named = [word for word in parts.words if SCHEMES[word].role not in ("ranges", "extra") and word != "rtn"]
    return "+".join(named) or "rtn"


def list_recipes() -> dict[str, str]:
    """Typical recipe names, each with one line on what it does; any name of the grammar works."""
    cards = {"fp32": "the reference itself, an identity control"}
    words = {word: scheme.card for word, scheme in SCHEMES.items() if word != "rtn" and scheme.role != "head"}
    for bits in ("w8a8", "w6a8", "w4a8", "w4a4"):
        fitting = {word: card for word, card in words.items() if not SCHEMES[word].float_only}
        cards |= {f"{bits}-{word}": f"{_widths(bits)}: {card}" for word, card in fitting.items()}
    cards["w8a8-smoothquant-auto"] = f"{_widths('w8a8')}: SmoothQuant, each fold at the strength of least error"
    cards["w4a8-smoothquant+mse"] = f"{_widths('w4a8')}: SmoothQuant, then static ranges of least squared error"
    for bits in ("w8a16", "w4a16"):
        cards[f"{bits}-minmax"] = f"{_widths(bits)}: round to nearest, weights only"
    cards["w4a16_g64-awq"] = f"{_widths('w4a16')}: {SCHEMES['awq'].card}, weights in groups of 64"
    cards["w4a8-gptq+biascorr"] = f"{_widths('w4a8')}: GPTQ, then bias correction"
    cards["fp32-tunescale"] = f"FP32: {SCHEMES['tunescale'].card}"
    cards["w8a8-minmax+tunescale"] = f"{_widths('w8a8')}: round to nearest, {SCHEMES['tunescale'].card}"
    for suffix, card in _WEIGHT_SUFFIXES.items():
        cards[f"w4a8_{suffix}-minmax"] = f"{_widths('w4a8')}: static min/max ranges, weights {card}"
    for family, facts in FAMILIES.items():
        cards[f"{family}-rtn"] = f"{facts.card}: round to nearest"
        if facts.has_ceil:
            cards[f"{family}_ceil-rtn"] = f"{facts.card} rounded up: round to nearest, nothing clips"
    return cards | backend_cards()


_WEIGHT_SUFFIXES = {
    "t": "with one scale per tensor",
    "g32": "in groups of 32",
    "g64": "in groups of 64",
    "g128": "in groups of 128",
    "asym": "with a zero point per channel",
    "g64_asym": "in groups of 64 with a zero point each",
}


def _widths(bits: str) -> str:
    weight, activation = bits[1:].split("a")
    return f"{weight}-bit weights, {activation}-bit activations"
