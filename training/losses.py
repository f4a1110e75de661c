"""Losses of captioned pictures in which one caption may stand for several pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone reads it by


def multi_positive_loss(
    image: torch.Tensor, text: torch.Tensor, group: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE in which equal captions share the target.

    Args:
        image: [N, D] unit features.
        text: [M, D] unit features of the batch's distinct captions.
        group: [N] index of each picture's caption among the M.
        scale: Scalar logit scale.

    Conventions:
        Towards the text the target is the picture's own caption; towards the
        images it is uniform over the pictures that carry the caption.
    """
    logits = scale * image @ text.T
    owned = F.one_hot(group, text.shape[0]).to(logits.dtype)
    to_image = -(F.log_softmax(logits, dim=0) * owned / owned.sum(0)).sum() / text.shape[0]
    return 0.5 * (F.cross_entropy(logits, group) + to_image)


def sigmoid_loss(
    image: torch.Tensor, text: torch.Tensor, group: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Every pair of a picture and a caption as a yes-or-no question.

    Args:
        image: [N, D] unit features.
        text: [M, D] unit features of the batch's distinct captions.
        group: [N] index of each picture's caption among the M.
        scale, bias: Scalars of the logits ``scale * cosine + bias``.

    Conventions:
        Summed over the N x M pairs and divided by N.

    Source:
        Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training. Departure: a
        caption that several pictures share stands once and is right for each of them.
    """
    logits = scale * image @ text.T + bias
    sign = 2.0 * F.one_hot(group, text.shape[0]).to(logits.dtype) - 1.0
    return -F.logsigmoid(sign * logits).sum() / image.shape[0]
