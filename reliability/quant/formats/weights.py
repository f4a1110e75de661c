"""Weight formats: which values a quantized weight may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Size, Tensor

from reliability.quant.formats.scaling import AmaxScaling, PowerOfTwoScaling, RangeScaling, Scaling, TwoLevelScaling
from reliability.quant.formats.sharing import Sharing
from reliability.quant.formats.values import E2M1, E2M3, E4M3, E5M2, HalfIntegers, Integers, Scales, Values
from reliability.quant.number_format import INTEGERS, Granularity
from reliability.quant.recipe import Recipe


@dataclass(frozen=True)
class WeightFormat:
    """What layers, training and the coverage proof need of a format.

    Attributes:
        values: Of one element.
        scaling: Takes the elements that share a scale to it.
        sharing: Which elements those are.
    """

    values: Values
    scaling: Scaling
    sharing: Sharing

    def scales(self, weight: Tensor) -> Scales:
        """Scales of a float weight [out, in, ...].

        They broadcast to the weight where its channels or the whole share one, and
        have the shape [out, groups, 1] where groups do.
        """
        parts = self.sharing.split(weight.detach())
        return self.scaling.fit(parts, self.sharing.dims(parts))

    def snap(self, weight: Tensor, scales: Scales) -> Tensor:
        """The nearest values of the format, ties to even, with a straight-through gradient."""
        return self.sharing.merge(self.values.snap(self.sharing.split(weight), scales), weight.shape)

    def steps_off(self, weight: Tensor, scales: Scales) -> float:
        """Largest distance of a weight from the format's values, in units of their spacing there.

        0 up to float rounding for a weight that was snapped with these scales;
        infinite where a scale is none that the format can store.
        """
        if not self.scaling.holds(scales):
            return torch.inf
        return float(self.values.steps_off(self.sharing.split(weight.detach()), scales).max())

    def storage_bits(self, shape: Size) -> int:
        """Bits that a weight of this shape takes up with its scales, packed without gaps.

        Example:
            >>> microscaling_format(E2M1, ceil=False).storage_bits(Size([768, 768])) / 768**2
            4.25
        """
        scales = self.sharing.count(shape) * self.scaling.bits + self.scaling.outer_bits
        return shape.numel() * self.values.bits + scales


def integer_format(bits: int, granularity: Granularity = "channel", symmetric: bool = True) -> WeightFormat:
    """Integers of a width."""
    values = Integers(bits, symmetric)
    scaling = AmaxScaling(values.largest) if symmetric else RangeScaling(bits)
    return WeightFormat(values, scaling, Sharing(granularity))


def half_integer_format(bits: int) -> WeightFormat:
    """Half-integers with a float32 scale per output channel."""
    values = HalfIntegers(bits)
    return WeightFormat(values, AmaxScaling(values.largest), Sharing("channel"))


def with_width(form: WeightFormat, bits: int) -> WeightFormat:
    """The same kind of integer or half-integer format at another width."""
    values = form.values
    if isinstance(values, HalfIntegers):
        return half_integer_format(bits)
    assert isinstance(values, Integers)
    return integer_format(bits, form.sharing.unit, values.symmetric)


def float_format(values: Values) -> WeightFormat:
    """Minifloats with a float32 scale per output channel."""
    return WeightFormat(values, AmaxScaling(values.largest), Sharing("channel"))


def microscaling_format(values: Values, ceil: bool) -> WeightFormat:
    """Values in blocks of 32 with a power-of-two scale.

    MXINT8's values are k / 64 in its specification and the integers k here: the
    scale takes up the 1 / 64, and the products are the same.
    """
    return WeightFormat(values, PowerOfTwoScaling(values.largest, ceil), Sharing(32))


def weight_format(recipe: Recipe) -> WeightFormat:
    """The format of a recipe's weights."""
    wanted = recipe.number_format
    if recipe.half_integers:
        return half_integer_format(recipe.weight_bits)
    if wanted.family == INTEGERS:
        return integer_format(recipe.weight_bits, wanted.granularity, wanted.symmetric)
    return _FAMILIES[wanted.family](wanted.ceil_scale)


_FAMILIES: dict[str, Callable[[bool], WeightFormat]] = {
    "fp8": lambda _: float_format(E4M3),
    "fp8e5m2": lambda _: float_format(E5M2),
    "mxfp8": lambda ceil: microscaling_format(E4M3, ceil),
    "mxfp6": lambda ceil: microscaling_format(E2M3, ceil),
    "mxfp4": lambda ceil: microscaling_format(E2M1, ceil),
    "mxint8": lambda ceil: microscaling_format(Integers(8), ceil),
    "nvfp4": lambda _: WeightFormat(E2M1, TwoLevelScaling(E2M1.largest), Sharing(16)),
}
