"""Weights on a grid as packed codes, and back to the same bits."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor

from reliability.quant.formats.values import HalfIntegers, Integers, Minifloat, Scales, Values
from reliability.quant.formats.weights import WeightFormat

CODES, ZERO_SIGNS = "codes", "zero_signs"
Packed = dict[str, Tensor]


def pack(weight: Tensor, format: WeightFormat, scales: Scales) -> Packed | None:
    """A weight that lies on its grid, as codes of the format's width without gaps between them.

    Args:
        weight: [out, in, ...] float32.
        format, scales: What it was snapped to.

    Returns:
        ``codes``, uint8 [ceil(values * bits / 8)], and ``zero_signs`` where they are
        needed; None where the codes would not give back every bit.

    Conventions:
        Symmetric integers and minifloats are stored as sign and magnitude, so that -0.0,
        which rounding makes of small negative weights, stays what it is. Integers with a
        zero point have no sign, and where one of them is -0.0 a bit per value says so.
    """
    parts = format.sharing.split(weight)
    plain = parts / scales.step
    if _has_sign(format.values):
        codes = _index(format.values, plain.abs()) + (plain.signbit().long() << (format.values.bits - 1))
        packed = {CODES: _packed_bits(codes, format.values.bits)}
    else:
        codes = (plain.round() + cast(Tensor, scales.zero_point)).clamp(0, format.values.largest).long()
        packed = {CODES: _packed_bits(codes, format.values.bits)}
        below_zero = (parts == 0) & parts.signbit()
        if bool(below_zero.any()):
            packed[ZERO_SIGNS] = _packed_bits(below_zero.long(), 1)
    same = _same_bits(unpack(packed, format, scales, weight.shape), weight)
    return packed if same else None


def unpack(packed: Packed, format: WeightFormat, scales: Scales, shape: Size) -> Tensor:
    """Undo :func:`pack`, bit for bit.

    Args:
        packed: What it returned.
        format, scales: As given to it.
        shape: Of the weight.
    """
    values = format.values
    parts = format.sharing.split(torch.empty(shape, device="meta")).shape
    codes = _unpacked_bits(packed[CODES], values.bits, parts)
    if _has_sign(values):
        sign = codes >> (values.bits - 1)
        plain = _magnitudes(values)[codes & ((1 << (values.bits - 1)) - 1)] * (1 - 2 * sign)
    else:
        plain = codes.float() - cast(Tensor, scales.zero_point)
        if ZERO_SIGNS in packed:
            plain = torch.where(_unpacked_bits(packed[ZERO_SIGNS], 1, parts).bool(), -0.0, plain)
    return format.sharing.merge(plain * scales.step, shape)


def _has_sign(values: Values) -> bool:
    return not isinstance(values, Integers) or values.symmetric


def _index(values: Values, magnitude: Tensor) -> Tensor:
    """Place of the nearest magnitude in the format's list of them."""
    known = _magnitudes(values)
    return torch.bucketize(magnitude.contiguous(), (known[1:] + known[:-1]) / 2)


def _magnitudes(values: Values) -> Tensor:
    """Every magnitude of a format with signs, ascending, float32."""
    if isinstance(values, Minifloat):
        steps = torch.arange(1 << values.mantissa_bits) / (1 << values.mantissa_bits)
        exponents = 2.0 ** torch.arange(values.smallest_exponent, values.largest_exponent + 1)
        normal = ((1 + steps) * exponents[:, None]).flatten()
        return torch.cat([steps * exponents[0], normal[normal <= values.largest]])
    if isinstance(values, HalfIntegers):
        return torch.arange(1 << (values.bits - 1)) + 0.5
    return torch.arange(int(values.largest) + 1).float()


def _same_bits(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.contiguous().view(torch.int32), second.contiguous().view(torch.int32))


def _packed_bits(codes: Tensor, bits: int) -> Tensor:
    rows = np.unpackbits(codes.numpy().astype(np.uint8).reshape(-1, 1), axis=1, count=bits, bitorder="little")
    return torch.from_numpy(np.packbits(rows.reshape(-1), bitorder="little"))


def _unpacked_bits(packed: Tensor, bits: int, shape: Size) -> Tensor:
    flat = np.unpackbits(packed.numpy(), count=shape.numel() * bits, bitorder="little").reshape(-1, bits)
    codes: NDArray[np.uint8] = np.packbits(flat, axis=1, bitorder="little")
    return torch.from_numpy(codes.reshape(tuple(shape)).astype(np.int64))
