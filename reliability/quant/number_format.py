"""Which numbers weights and activations become: names and facts, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["static", "dynamic", "block", "none"]
Granularity = Literal["tensor", "channel"] | int

INTEGERS = "int"
"""The family whose widths stand in a recipe's name."""


@dataclass(frozen=True)
class NumberFormat:
    """The numbers of one recipe; widths stand beside it.

    Attributes:
        family: ``int``, or a name of :data:`FAMILIES`.
        granularity: Which integer weights share a scale: all (``tensor``), an output
            channel's (``channel``), or that many inputs of one output channel.
        symmetric: Whether integer weights have no zero point.
        ceil_scale: Whether a power-of-two scale is rounded up until nothing clips.
    """

    family: str = INTEGERS
    granularity: Granularity = "channel"
    symmetric: bool = True
    ceil_scale: bool = False


PLAIN_INTEGERS = NumberFormat()
"""Symmetric integers with a scale per output channel, which a name gets without suffixes."""


@dataclass(frozen=True)
class Family:
    """A format that weights and activations have in common.

    Attributes:
        bits: Width of one element.
        activation: ``block`` where scales come with the data, ``static`` where ranges can be set.
        card: One phrase for a listing.
        has_ceil: Whether its scales are powers of two, which ``_ceil`` rounds up.
    """

    bits: int
    activation: Activation
    card: str
    has_ceil: bool = False


def _microscaling(bits: int, values: str) -> Family:
    return Family(bits, "block", f"{values} in blocks of 32 with a power-of-two scale", has_ceil=True)


FAMILIES: dict[str, Family] = {
    "fp8": Family(8, "static", "E4M3 weights per channel, E4M3 activations"),
    "fp8e5m2": Family(8, "static", "E5M2 weights per channel, E5M2 activations"),
    "mxfp8": _microscaling(8, "E4M3"),
    "mxfp6": _microscaling(6, "E2M3"),
    "mxfp4": _microscaling(4, "E2M1"),
    "mxint8": _microscaling(8, "8-bit integers"),
    "nvfp4": Family(4, "block", "E2M1 in blocks of 16 with an E4M3 scale"),
}
"""Name of a pair format to its facts; what it computes is one line of ``reliability.quant.formats.weights``.

Of the two element types that MXFP8 and MXFP6 may have, these are the ones with the longer fraction, which suit a
direct cast of a trained model (Rouhani et al., arXiv 2310.10537)."""
