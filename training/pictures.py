"""From stored pictures to a model's input, and the changes that keep a picture's caption true."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone reads it by

from reliability.types import U8
from training.plans import Statistics


def pixels(images: U8) -> torch.Tensor:
    """uint8 [N, H, W, 3] to float32 [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255


def to_input(x: torch.Tensor, size: int, statistics: Statistics) -> torch.Tensor:
    """What a model reads: square pictures at its size, normalised.

    Args:
        x: [N, 3, S, S] in [0, 1].
        size: Side of the result.
        statistics: Mean and standard deviation per channel.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
    return (resized(x, size) - mean) / std


def resized(x: torch.Tensor, size: int) -> torch.Tensor:
    """Square pictures [N, 3, S, S] in [0, 1] at another size, as the model's own preprocessing resizes them.

    Conventions:
        Bicubic with Pillow's kernel and clipped to [0, 1], but not rounded to bytes.
    """
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def augment(x: torch.Tensor, flip: bool, pad: int, generator: torch.Generator) -> torch.Tensor:
    """Shift each picture by up to ``pad`` pixels (edges reflected), mirror half of them."""
    n, _, height, width = x.shape
    padded = F.pad(x, (pad,) * 4, mode="reflect")
    dy, dx = torch.randint(0, 2 * pad + 1, (2, n), generator=generator)
    rows = (dy[:, None] + torch.arange(height))[:, None, :, None]
    columns = (dx[:, None] + torch.arange(width))[:, None, None, :]
    x = padded[torch.arange(n)[:, None, None, None], torch.arange(3)[:, None, None], rows, columns]
    if not flip:
        return x
    mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)
