"""Take a recipe's name apart and refuse what makes no sense; imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from reliability.quant.backends.registry import BACKENDS, SUFFIX
from reliability.quant.number_format import FAMILIES, INTEGERS, PLAIN_INTEGERS, Granularity, NumberFormat
from reliability.quant.schemes import ROLES, SCHEMES, SENSELESS, Role

FLOAT_BITS = 16
"""``a16``: activations are left in floating point."""
FULL_BITS = 32
"""Widths of ``fp32``, where nothing is quantized."""

GRAMMAR = (
    f"FORMAT-SCHEME{{+SCHEME}}[-a{{alpha}}|-auto][-text|-both][-s{{seed}}][{SUFFIX}BACKEND], "
    "or fp32[-tunescale[-s{seed}]]; "
    "FORMAT is w{2..8}a{2..8|16}"
    f"[_t|_g32|_g64|_g128][_asym] or one of {', '.join(FAMILIES)}, those of mx with [_ceil]; "
    f"SCHEME is one of {', '.join(SCHEMES)}; BACKEND is one of {', '.join(BACKENDS)}"
)

_WIDTHS = re.compile(r"w([2-8])a([2-8]|16)")
_GRANULARITIES: dict[str, Granularity] = {"t": "tensor", "g32": 32, "g64": 64, "g128": 128}
_OPTIONS = {
    "alpha": re.compile(r"(?:a(0(?:\.\d+)?|1(?:\.0+)?)|(auto))"),
    "towers": re.compile(r"(text|both)"),
    "seed": re.compile(r"s(0|[1-9]\d{0,8})"),
}


class GrammarError(ValueError):
    """A part of a name that cannot stand as it does.

    Args:
        what: The rule that was broken.
        got: The part.
        advice: What to write instead, where that is clear.
    """

    def __init__(self, what: str, got: str, advice: str = "") -> None:
        super().__init__(what)
        self.what, self.got, self.advice = what, got or "nothing", advice


@dataclass(frozen=True)
class Parts:
    """A name taken apart.

    Attributes:
        weight_bits, activation_bits: Widths; 16 leaves activations in float.
        number_format: The rest of the format.
        words: Keys of ``SCHEMES``, in the order of their roles.
        options: Kind of option to its text, for those that were given.
    """

    weight_bits: int
    activation_bits: int
    number_format: NumberFormat
    words: tuple[str, ...]
    options: dict[str, str]

    @property
    def float_activations(self) -> bool:
        """Whether only weights are quantized, or nothing is."""
        return self.activation_bits >= FLOAT_BITS

    @property
    def unquantized(self) -> bool:
        """Whether the format is FP32."""
        return self.weight_bits == FULL_BITS

    def word(self, role: Role) -> str | None:
        """The first word of a role, None without one."""
        return next((word for word in self.words if SCHEMES[word].role == role), None)


def take_apart(name: str) -> Parts:
    """Read a name other than ``fp32``.

    Raises:
        GrammarError: A part is unknown, out of order, or senseless with the others.
    """
    head, *tail = name.split("-")
    weight_bits, activation_bits, number_format = _read_format(head)
    words = tuple(tail[0].split("+")) if tail else ("",)
    _check_words(words)
    parts = Parts(weight_bits, activation_bits, number_format, words, _read_options(tail[1:]))
    for word in words:
        _check_fit(word, parts)
    if parts.unquantized and "towers" in parts.options:
        raise GrammarError("fp32 quantizes no tower", parts.options["towers"])
    if "alpha" in parts.options and all(SCHEMES[word].alpha is None for word in words):
        raise GrammarError(
            f"{'+'.join(words)} has no smoothing strength", f"a{parts.options['alpha'].removeprefix('a')}"
        )
    return parts


def _read_format(text: str) -> tuple[int, int, NumberFormat]:
    head, *suffixes = text.split("_")
    if text == "fp32":
        return FULL_BITS, FULL_BITS, PLAIN_INTEGERS
    if head in FAMILIES:
        family = FAMILIES[head]
        ceil = family.has_ceil and suffixes == ["ceil"]
        if suffixes and not ceil:
            allowed = "_ceil alone" if family.has_ceil else "no suffix"
            raise GrammarError(f"the format {head} takes {allowed}", f"_{'_'.join(suffixes)}")
        return family.bits, family.bits, NumberFormat(head, ceil_scale=ceil)
    widths = _WIDTHS.fullmatch(head)
    if widths is None:
        raise GrammarError(
            f"the format is neither w2 to w8 with a2 to a8 or a16, nor one of {', '.join(FAMILIES)}", head
        )
    return int(widths[1]), int(widths[2]), _read_integer_suffixes(suffixes)


def _read_integer_suffixes(suffixes: Sequence[str]) -> NumberFormat:
    left = list(suffixes)
    granularity: Granularity = _GRANULARITIES[left.pop(0)] if left and left[0] in _GRANULARITIES else "channel"
    asymmetric = left[:1] == ["asym"]
    if left[asymmetric:]:
        order = ", ".join(f"_{key}" for key in _GRANULARITIES)
        raise GrammarError(
            f"after the widths comes one of {order}, then _asym, each at most once", f"_{left[asymmetric]}"
        )
    return NumberFormat(INTEGERS, granularity, not asymmetric)


def _read_options(texts: Sequence[str]) -> dict[str, str]:
    """Kind of option to text, for texts that must follow the order of the grammar."""
    found: dict[str, str] = {}
    left = list(texts)
    for kind, pattern in _OPTIONS.items():
        match = pattern.fullmatch(left[0]) if left else None
        if match is not None:
            found[kind] = match[match.lastindex or 0]
            left.pop(0)
    if left:
        raise GrammarError("a suffix is unknown, repeated or out of order", left[0])
    return found


def _check_words(words: Sequence[str]) -> None:
    """Every word is known, in its place, and makes sense beside each other one."""
    for word in words:
        if word not in SCHEMES:
            raise GrammarError(f"the scheme is not one of {', '.join(SCHEMES)}", word)
    places = [ROLES.index(SCHEMES[word].role) for word in words]
    if len(set(words)) < len(words):
        raise GrammarError("a scheme is named twice", "+".join(words))
    if places != sorted(places):
        raise GrammarError(f"schemes stand in the order in which they run: {', '.join(ROLES)}", "+".join(words))
    for first, second in combinations(words, 2):
        reason = _reason_against(first, second)
        if reason:
            raise GrammarError(reason, f"{first}+{second}")


def _reason_against(first: str, second: str) -> str | None:
    roles = SCHEMES[first].role, SCHEMES[second].role
    if roles[0] == roles[1] and roles[0] not in ("transform", "extra"):
        return f"both are about {roles[0]}, and a recipe has one scheme for that"
    keys = product((first, roles[0]), (second, roles[1]))
    return next((SENSELESS[key] for key in keys if key in SENSELESS), None)


def _check_fit(word: str, parts: Parts) -> None:
    """A word makes sense with the format."""
    scheme, name = SCHEMES[word], parts.number_format.family
    if parts.unquantized and scheme.role != "head":
        raise GrammarError(f"fp32 quantizes nothing, and {word} is about quantizing", word, "write fp32-tunescale")
    if parts.float_activations and not scheme.with_float:
        widths = f"w{parts.weight_bits}a{FLOAT_BITS}"
        raise GrammarError(f"a16 leaves activations in float, but {word} is about quantizing them", widths)
    if scheme.float_only and not parts.float_activations:
        what = f"{word} weighs the error of weights alone, as if activations stayed in float"
        raise GrammarError(what, word, f"write a{FLOAT_BITS}, or take smoothquant")
    if scheme.half_integers and parts.number_format != PLAIN_INTEGERS:
        what = f"{word} has codes of its own, with one scale per output channel"
        raise GrammarError(what, word, f"write w{parts.weight_bits}a{parts.activation_bits}-{word}")
    if name == INTEGERS:
        return
    if scheme.role == "ranges" and FAMILIES[name].activation == "block":
        what = f"{name} takes its scales from the data, block by block, so there is no range to set"
        raise GrammarError(what, word, f"write {name}-rtn")
    if scheme.integers_only:
        raise GrammarError(f"{word} is about integer codes over a static range, which {name} does not have", word)
