"""HQQ: scales and zero points that bear with outliers, from the weights alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from reliability.quant.formats import WeightFormat
from reliability.quant.formats.values import Integers, Scales
from reliability.quant.layers import QuantLayer, put_weight, scales_of
from reliability.quant.methods.workbench import LayerBench


@dataclass(frozen=True)
class HqqSettings:
    """The solver.

    Attributes:
        norm: p of the error's norm, below 1.
        penalty: Weight beta of the split at first, for errors in units of the first scale.
        growth: Factor of the penalty from one iterate to the next.
        iterations: Iterates after the first.
    """

    norm: float = 0.7
    penalty: float = 10.0
    growth: float = 1.01
    iterations: int = 20


DEFAULTS = HqqSettings()


def apply(bench: LayerBench, settings: HqqSettings = DEFAULTS) -> None:
    """Round the weights of every layer to nearest with scales of least error in the p-norm.

    Source:
        Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023
        (mobiusml.github.io/hqq_blog). Departures: zero points are integer codes here, so
        the scale is solved for along with them, and alone in formats without zero points,
        where the source solves for a real zero point; errors are in units of the first
        scale, so that the penalty does not depend on how large weights are; the best
        iterate is kept for each scale, not for each layer, and the first one counts.
    """
    shares = []
    for name, layer in bench.layers.items():
        weight = bench.float_model.get_parameter(f"{name}.weight").detach()
        before = norm_error(layer, weight, settings.norm)
        put_weight(layer, weight, solve(layer, weight, settings))
        shares.append(norm_error(layer, weight, settings.norm) / before if before else 1.0)
    share = sum(shares) / len(shares)
    bench.report(f"{bench.recipe.name}: {len(shares)} layers, weight error {share:.3f} of rounding to nearest's")


def norm_error(layer: QuantLayer, weight: Tensor, norm: float) -> float:
    """Sum of |error|^p over a layer's weight."""
    return float((weight - layer.weight).abs().double().pow(norm).sum())


@torch.no_grad()
def solve(layer: QuantLayer, weight: Tensor, settings: HqqSettings) -> Scales:
    """Scales of least error that alternating steps find, starting from those the layer has.

    Args:
        layer: Of integers with float32 scales.
        weight: Of the layer's shape.
        settings: The solver.
    """
    form, start = layer.format, scales_of(layer)
    problem = _Problem.of(form, weight)
    best, least = start, problem.error(start, settings.norm)
    scales, penalty = start, settings.penalty
    for _ in range(settings.iterations):
        scales = problem.improved(scales, start.scale, settings.norm, penalty)
        error = problem.error(scales, settings.norm)
        best = _where(error < least, scales, best)
        least, penalty = torch.minimum(error, least), penalty * settings.growth
    return best


@dataclass(frozen=True)
class _Problem:
    """Weights in parts that share a scale; ``parts`` and what is summed over ``dims`` are float64."""

    values: Integers
    parts: Tensor
    dims: tuple[int, ...]

    @classmethod
    def of(cls, form: WeightFormat, weight: Tensor) -> _Problem:
        assert isinstance(form.values, Integers)
        parts = form.sharing.split(weight)
        return cls(form.values, parts.double(), form.sharing.dims(parts))

    def snapped(self, scales: Scales) -> Tensor:
        return self.values.snap(self.parts.float(), scales).double()

    def error(self, scales: Scales, norm: float) -> Tensor:
        return (self.parts - self.snapped(scales)).abs().pow(norm).sum(self.dims, keepdim=True)

    def improved(self, scales: Scales, unit: Tensor, norm: float, penalty: float) -> Scales:
        """Scales of least squares against the weights without what counts as their outliers."""
        residual = (self.parts - self.snapped(scales)) / unit
        target = self.parts - shrink(residual, norm, penalty) * unit
        steps = (self.snapped(scales) / scales.scale).round()
        if scales.zero_point is None:
            return Scales(_slope(target, steps, self._sum, scales.scale))
        return self._with_zero_point(target, steps + scales.zero_point, scales)

    def _with_zero_point(self, target: Tensor, codes: Tensor, scales: Scales) -> Scales:
        """A line through codes and targets, its zero rounded to a code, then its slope with that zero."""
        assert scales.zero_point is not None
        count = self._sum(torch.ones_like(target))
        middle, height = self._sum(codes) / count, self._sum(target) / count
        slope = _slope(target - height, codes - middle, self._sum, scales.scale)
        zero = (middle - height / slope).round().clamp(self.values.grid.qmin, self.values.grid.qmax)
        return Scales(_slope(target, codes - zero, self._sum, scales.scale), zero.float())

    def _sum(self, x: Tensor) -> Tensor:
        return x.sum(self.dims, keepdim=True)


def shrink(x: Tensor, norm: float, penalty: float) -> Tensor:
    """Generalised soft threshold sign(x) max(|x| - |x|^(p - 1) / penalty, 0).

    Example:
        >>> shrink(torch.tensor([0.01, -1.0]), 0.7, 10.0).tolist()
        [0.0, -0.8999999761581421]
    """
    magnitude = x.abs()
    return x.sign() * (magnitude - magnitude.pow(norm - 1) / penalty).clamp(min=0)


def _slope(target: Tensor, steps: Tensor, total: Callable[[Tensor], Tensor], fallback: Tensor) -> Tensor:
    """Least-squares factor from steps to targets, float32; the fallback where it is not positive."""
    squares = total(steps * steps)
    slope = (total(target * steps) / squares).float()
    return torch.where((squares > 0) & (slope > 0), slope, fallback)


def _where(condition: Tensor, yes: Scales, no: Scales) -> Scales:
    if yes.zero_point is None or no.zero_point is None:
        return Scales(torch.where(condition, yes.scale, no.scale))
    zero_point = torch.where(condition, yes.zero_point, no.zero_point)
    return Scales(torch.where(condition, yes.scale, no.scale), zero_point)
