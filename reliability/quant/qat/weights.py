"""Ways to put a layer's float weight on a grid in every forward pass of a training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reliability.quant.affine import Limit, unit_where_zero
from reliability.quant.formats import WeightFormat
from reliability.quant.formats.values import Integers, Scales
from reliability.quant.qat.learnable import SMALLEST_SHARE, Group, Learnable, WeightRule
from reliability.quant.qat.lsq import lsq

MakeRule = Callable[[WeightFormat, Tensor], WeightRule]
"""A format and the float weight at the start of training to a rule."""


class OnGrid(WeightRule):
    """Round to nearest.

    Conventions:
        The scale of each output channel is recomputed from the float weight in
        every forward pass and gets no gradient; the weight's is straight-through.
    """

    def __init__(self, format: WeightFormat, weight: Tensor) -> None:
        super().__init__()
        del weight
        self.format = format

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, same shape."""
        return self.format.snap(weight, self.format.scales(weight))

    def scales(self, weight: Tensor) -> Scales:
        """The format's own for this weight."""
        return self.format.scales(weight)


class LearnedWeightStep(WeightRule, Learnable):
    """Round to a grid whose steps are trained.

    Args:
        format: Of integers.
        initial: Scales to start from; zero points stay fixed.

    Conventions:
        Steps are learned as shares of their initial values, so that one rate suits
        layers and channels of any magnitude.

    Source:
        Esser et al., Learned Step Size Quantization, ICLR 2020 (arXiv 1902.08153).
        Departures: one step for each part of the weight that shares one, not for the
        layer, and initial steps other than 2 mean|v| / sqrt(Qp), which at 8 bits lies
        far above what a trained weight needs.
    """

    initial: Tensor

    def __init__(self, format: WeightFormat, initial: Scales) -> None:
        super().__init__()
        self.format = format
        self.limits = _limits(format, initial)
        self.zero_point = initial.zero_point
        self.register_buffer("initial", initial.scale.clone())
        self.shares = nn.Parameter(torch.ones_like(initial.scale))

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, same shape."""
        sharing = self.format.sharing
        return sharing.merge(lsq(sharing.split(weight), self.initial * self.shares, *self.limits), weight.shape)

    @torch.no_grad()
    def scales(self, weight: Tensor) -> Scales:
        """The trained steps."""
        del weight
        return Scales(self.initial * self.shares, self.zero_point)

    def groups(self, rate: float) -> list[Group]:
        """All steps, without weight decay."""
        return [{"params": [self.shares], "weight_decay": 0.0, "lr": rate}]

    @torch.no_grad()
    def keep_valid(self) -> None:
        """Undo an optimizer step that took a step to zero or below."""
        self.shares.clamp_(min=SMALLEST_SHARE)


class DorefaGrid(WeightRule):
    """Round the hyperbolic tangent of a weight, then restore its magnitude.

    Conventions:
        With t = tanh(w), rounded to q by the format's own scales: the weight is
        gain * q, where gain = <w, q> / <q, q> over the weights that share a scale, so
        that it is as close to w as any multiple of q. Neither scale nor gain gets a
        gradient. Where q is all 0 the gain is 1.

    Source:
        Zhou et al., DoReFa-Net, 2016 (arXiv 1606.06160). Departures: the gain, without
        which the largest weight of every layer becomes 1 and nothing of a trained model is
        left; the format's grid, which has a 0, and its sharing of scales instead of one
        largest magnitude per layer; activations keep ranges that were set instead of
        [0, 1], and gradients are not quantized. Weights of a trained CLIP are mostly far
        below 1, where tanh is nearly the identity, so that the gain is most of what
        remains of the method.
    """

    def __init__(self, format: WeightFormat, weight: Tensor) -> None:
        super().__init__()
        del weight
        self.format = format

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, same shape."""
        curved, scales, gain = self._rounded(weight)
        return self.format.sharing.merge(self.format.values.snap(curved, scales) * gain, weight.shape)

    @torch.no_grad()
    def scales(self, weight: Tensor) -> Scales:
        """Those of the curved weight, times the gain."""
        _, scales, gain = self._rounded(weight)
        return scales._replace(scale=scales.scale * gain)

    def _rounded(self, weight: Tensor) -> tuple[Tensor, Scales, Tensor]:
        """tanh(w) in parts, their scales, and each part's gain."""
        parts = self.format.sharing.split(weight)
        scales = self.format.scales(weight.detach().tanh())
        rounded = self.format.values.snap(parts.detach().tanh(), scales)
        dims = self.format.sharing.dims(parts)
        product = (parts.detach() * rounded).sum(dims, keepdim=True)
        square = rounded.square().sum(dims, keepdim=True)
        gain = torch.where(product > 0, product / unit_where_zero(square), torch.ones_like(square))
        return parts.tanh(), scales, gain


def learned_from(initial: Callable[[WeightFormat, Tensor], Scales]) -> MakeRule:
    """A rule with learned steps that starts from these scales."""
    return lambda format, weight: LearnedWeightStep(format, initial(format, weight))


def _limits(format: WeightFormat, scales: Scales) -> tuple[Limit, Limit]:
    values = format.values
    assert isinstance(values, Integers)
    lower, upper = float(values.grid.qmin), float(values.grid.qmax)
    return (lower, upper) if scales.zero_point is None else (lower - scales.zero_point, upper - scales.zero_point)
