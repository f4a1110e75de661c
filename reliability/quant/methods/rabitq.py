"""RaBitQ: codes of a vector by direction, and a scale that makes inner products with them unbiased."""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 96
_NARROWEST, _WIDEST = 1.5, 1.1
_TINY = 1e-30


@torch.no_grad()
def encode_rows(rows: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Codes and scale of every row.

    Args:
        rows: [rows, K], rotated at random, float.
        bits: Of a code.

    Returns:
        Codes c, half-integers [rows, K] float64, and scales r [rows, 1] float64, so that
        r <x, c> estimates <x, w>.

    Conventions:
        A code's signs are those of the row, and its magnitudes floor(t |w|) + 1/2, at most
        2^(b-1) - 1/2. The factor t is the one of 96 with the largest cosine between code
        and row, from a grid that clips nothing to one that clips at 1.5 root mean squares.
        r = |w|^2 / <c, w>: the projection of the estimate on w is w itself, so that over
        random rotations nothing but the component at right angles is lost, which has mean
        0. A least-squares scale <c, w> / |c|^2 would shrink every product. The scale of a
        row of zeros is 1e-30.

    Source:
        Gao & Long, RaBitQ, SIGMOD 2024 (arXiv 2405.12497), theorem 3.2; Gao et al.,
        extended RaBitQ, SIGMOD 2025 (arXiv 2409.09913), section 3. Departures: t is taken
        from a grid, where the source goes through every one that changes a code; r is that
        of the code without the vector's norm apart.
    """
    rows = rows.double()
    magnitude, half = rows.abs(), float(2 ** (bits - 1))
    widest = _WIDEST * magnitude.amax(dim=1, keepdim=True)
    narrowest = _NARROWEST * magnitude.square().mean(dim=1, keepdim=True).sqrt()
    best, least = torch.full_like(rows, 0.5), torch.full_like(widest, -1.0)
    for step in range(_STEPS):
        clip = widest * (narrowest / widest) ** (step / (_STEPS - 1))
        codes = (magnitude * (half / clip)).floor_().clamp_(max=half - 1).add_(0.5)
        cosine = (codes * magnitude).sum(dim=1, keepdim=True) / codes.norm(dim=1, keepdim=True)
        better = cosine > least
        best, least = torch.where(better, codes, best), torch.where(better, cosine, least)
    codes = torch.where(rows < 0, -best, best)
    product = (codes * rows).sum(dim=1, keepdim=True)
    scale = rows.square().sum(dim=1, keepdim=True) / product
    return codes, torch.where(product > 0, scale, torch.full_like(scale, _TINY))
