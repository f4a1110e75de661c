"""Number formats a second time: every value listed, and the nearest one looked for.

Slow on purpose, without the library's code, bit patterns or arrays of results. A
quotient, a product and a scale are single float32 operations, as the formats say;
everything between them is exact.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

F32 = np.float32


def minifloat_values(exponent_bits, mantissa_bits, largest):
    """Non-negative values from 0 up to the largest; an even place is an even mantissa."""
    bias = 2 ** (exponent_bits - 1) - 1
    found = []
    for exponent, mantissa in itertools.product(range(2**exponent_bits), range(2**mantissa_bits)):
        fraction = Fraction(mantissa, 2**mantissa_bits)
        if exponent == 0:
            found.append(fraction * Fraction(2) ** (1 - bias))
        else:
            found.append((1 + fraction) * Fraction(2) ** (exponent - bias))
    return [value for value in found if value <= largest]


def integer_values(bits):
    """Non-negative codes of a symmetric grid."""
    return [Fraction(code) for code in range(2 ** (bits - 1))]


E4M3 = minifloat_values(4, 3, 448)
E5M2 = minifloat_values(5, 2, 57344)
E2M3 = minifloat_values(2, 3, 7.5)
E2M1 = minifloat_values(2, 1, 6)


def nearest(x, values):
    """The value nearest to a float, with its sign; ties go to the even place."""
    exact = abs(Fraction(float(x)))
    place = min(range(len(values)), key=lambda i: (abs(values[i] - exact), i % 2))
    return float(np.copysign(float(values[place]), x))


def groups(shape, unit):
    """Lists of the indices of a weight that share a scale: channels run faster than a kernel's positions."""
    everything = []
    for out in range(shape[0]):
        places = [
            (out, channel, *position)
            for position in itertools.product(*map(range, shape[2:]))
            for channel in range(shape[1])
        ]
        size = unit if isinstance(unit, int) else len(places)
        everything += [places[start : start + size] for start in range(0, len(places), size)]
    return [list(itertools.chain(*everything))] if unit == "tensor" else everything


def _amax(numbers):
    return F32(max(abs(x) for x in numbers))


def amax_scale(numbers, values):
    return _amax(numbers) / F32(float(values[-1])) or F32(1)


def power_scale(numbers, values, ceil):
    """The smallest power of two that clips nothing, or clips less than a binade of it."""
    amax, largest = Fraction(float(_amax(numbers))), values[-1]
    if amax == 0:
        return F32(1)
    binade = Fraction(2) ** max(k for k in range(20) if 2**k <= largest)
    fits = (lambda scale: amax <= largest * scale) if ceil else (lambda scale: amax < 2 * binade * scale)
    exponent = next((k for k in range(-126, 127) if fits(Fraction(2) ** k)), 127)
    return F32(2.0**exponent)


def snap(numbers, values, scale):
    """Each number as the nearest value times the scale."""
    with np.errstate(all="ignore"):
        return [F32(nearest(F32(x) / scale, values)) * scale for x in numbers]


def snap_range(numbers, bits):
    """Asymmetric integers over the range of the numbers."""
    low, high = F32(min(0, *numbers)), F32(max(0, *numbers))
    scale = (high - low) / F32(2**bits - 1) or F32(1)
    zero = min(max(round(float(-low / scale)), 0), 2**bits - 1)
    codes = [min(max(round(float(F32(x) / scale)) + zero, 0), 2**bits - 1) for x in numbers]
    return [F32(code - zero) * scale for code in codes]


def two_level_scales(blocks, values):
    """(scale of each block, scale of scales) in the manner of NVFP4."""
    outer = _amax(itertools.chain(*blocks)) / F32(448 * float(values[-1])) or F32(1)
    wanted = [_amax(block) / F32(float(values[-1])) / outer for block in blocks]
    return [F32(nearest(w, E4M3)) or F32(1) for w in wanted], outer


def snap_weight(weight, name):
    """A float32 array as a weight of a format, named as in a recipe (``int4``, ``int4_g32_asym``, ``mxfp4_ceil``)."""
    head, *suffixes = name.split("_")
    result = np.empty_like(weight)
    if head == "nvfp4":
        indices = groups(weight.shape, 16)
        scales, outer = two_level_scales([[weight[i] for i in block] for block in indices], E2M1)
        rows = [
            ([weight[i] for i in block], E2M1, s * outer or F32(1)) for block, s in zip(indices, scales, strict=True)
        ]
        snapped = [snap(*row) for row in rows]
    else:
        indices = groups(weight.shape, _unit(head, suffixes))
        snapped = [_snap_group([weight[i] for i in group], head, suffixes) for group in indices]
    for block, numbers in zip(indices, snapped, strict=True):
        for index, number in zip(block, numbers, strict=True):
            result[index] = number
    return result


def _unit(head, suffixes):
    if head.startswith("mx"):
        return 32
    named = {"t": "tensor", "g32": 32, "g64": 64, "g128": 128}
    return next((named[s] for s in suffixes if s in named), "channel")


def _snap_group(numbers, head, suffixes):
    elements = {"mxfp8": E4M3, "mxfp6": E2M3, "mxfp4": E2M1, "mxint8": integer_values(8), "fp8": E4M3, "fp8e5m2": E5M2}
    if head in elements:
        values = elements[head]
        scale = power_scale(numbers, values, "ceil" in suffixes) if head[0] == "m" else amax_scale(numbers, values)
        return snap(numbers, values, scale)
    bits = int(head.removeprefix("int"))
    if "asym" in suffixes:
        return snap_range(numbers, bits)
    values = integer_values(bits)
    return snap(numbers, values, amax_scale(numbers, values))
