"""Refit the logit scale alone, of a quantized model or of FP32."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.methods.workbench import Workbench
from reliability.quant.towers import RangeData, encode

_BATCH = 32
_HALVINGS = 60
_LARGEST_LOG = 12.0
"""Natural logarithm of the largest scale considered; the smallest is its inverse."""


@torch.no_grad()
def apply(bench: Workbench) -> None:
    """Give the model the logit scale that suits the range-setting pairs best; nothing else changes.

    No embedding changes, and so no prediction and no cosine. A quantized model may be
    off in confidence by nothing but this one number; FP32 gets the same chance, because
    a gain over an FP32 that was never refitted would be no gain of quantization.

    Conventions:
        Minimises :func:`caption_loss`. A bias of the logits stays as it is.

    Source:
        Guo et al., ICML 2017 (arXiv 1706.04599), section 4.2, on captions. Departure: the
        minimum is bracketed on the slope in float64, instead of a few steps of an optimiser.

    Raises:
        QuantizationError: No scale is best on these pairs.
    """
    scale: Tensor = bench.model.get_parameter("logit_scale")
    cosines, captions = caption_cosines(bench.model, bench.data)
    before = float(scale.double().exp())
    best = best_scale(cosines, captions, where=f"recipe {bench.recipe.name}")
    scale.fill_(math.log(best))
    losses = (caption_loss(cosines, captions, value) for value in (before, best))
    bench.report(
        f"{bench.recipe.name}: logit scale {before:.2f} to {best:.2f}, loss {' to '.join(f'{x:.4f}' for x in losses)}"
    )


def caption_cosines(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    """Cosines [N, C] of images with distinct captions, float64, and [N] each image's own caption."""
    tokens, captions = torch.unique(data.tokens, dim=0, return_inverse=True)
    image = torch.cat([encode(clip, "vision", batch) for batch in torch.split(data.images, _BATCH)])
    text = torch.cat([encode(clip, "text", batch) for batch in torch.split(tokens, _BATCH)])
    return F.normalize(image.double(), dim=1) @ F.normalize(text.double(), dim=1).T, captions


def caption_loss(cosines: Tensor, captions: Tensor, scale: float) -> float:
    """Mean negative log-likelihood, in nats, of each image's own caption among all distinct ones."""
    return float(F.cross_entropy(scale * cosines, captions))


def best_scale(cosines: Tensor, captions: Tensor, where: str) -> float:
    """The scale that minimises :func:`caption_loss`, which is convex in it.

    Args:
        cosines: [N, C] float64.
        captions: [N] in 0..C-1.
        where: For the error message.

    Raises:
        QuantizationError: The loss falls up to the end of what is considered, e^-12 to e^12.
    """
    low, high = -_LARGEST_LOG, _LARGEST_LOG
    if not _slope(cosines, captions, low) < 0 < _slope(cosines, captions, high):
        raise QuantizationError(
            where=where,
            what="no logit scale is best on the range-setting pairs: their own captions are no closer to the images "
            "than others, or always the closest",
            got=f"{len(cosines)} images, {cosines.shape[1]} distinct captions",
            next="use more range-setting pairs, or leave out tunescale",
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(cosines, captions, middle) < 0:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _slope(cosines: Tensor, captions: Tensor, log_scale: float) -> float:
    """Derivative of the loss by the scale: the expected cosine less the own caption's, averaged over images."""
    shares = (math.exp(log_scale) * cosines).softmax(dim=1)
    own = cosines.gather(1, captions[:, None])[:, 0]
    return float(((shares * cosines).sum(dim=1) - own).mean())
