"""Modules of a rotated tower."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.quant.methods.rotation.matrices import factors, paley

_ROWS = 256


class Rotation(nn.Module):
    """x to x M with an orthogonal M: random signs, then a Hadamard matrix.

    Args:
        size: Of the last axis.
        seed: Numbers that the signs depend on, and nothing else does.

    Attributes:
        signs: [size] of +-1, int8; saved with a model.

    Conventions:
        M = diag(signs) (I x P x S) / sqrt(order) with a Paley matrix P where the size
        has an odd factor, and Sylvester's S of a power of two. Where no matrix of the
        whole size is known, equal parts of the axis are rotated each on its own.
        Nothing but additions is done, apart from the signs and the final scale, so
        there is no product with weights that a coverage proof would have to count.
    """

    signs: Tensor

    def __init__(self, size: int, seed: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self.factors = size, factors(size)
        draw = np.random.default_rng(np.random.SeedSequence(seed)).integers(0, 2, size)
        self.register_buffer("signs", torch.from_numpy(2 * draw - 1).to(torch.int8))
        core = paley(self.factors.core)
        self._core, self._core_back = _negative_rows(core), _negative_rows(core.T)

    def forward(self, x: Tensor) -> Tensor:
        """[..., size], any floating dtype, to the same."""
        return _Turn.apply(x, self)  # type: ignore[no-any-return, no-untyped-call]

    def turn(self, x: Tensor) -> Tensor:
        """x M, without a gradient."""
        return self._mix(x * self._factor(x), self._core)

    def turn_back(self, x: Tensor) -> Tensor:
        """x M^T, without a gradient."""
        return self._mix(x, self._core_back) * self._factor(x)

    def _factor(self, x: Tensor) -> Tensor:
        return self.signs.to(x.dtype) / sqrt(self.factors.order)

    def _mix(self, x: Tensor, core: Sequence[Sequence[int]]) -> Tensor:
        # Parts that fit into a cache are twice as fast as all at once, and values to mix
        # that lie far apart, so that additions run over contiguous memory, five times.
        parts = [
            self._mix_columns(rows.T.contiguous(), core).T for rows in torch.split(x.reshape(-1, self.size), _ROWS)
        ]
        return torch.cat(parts).reshape(x.shape)

    def _mix_columns(self, columns: Tensor, core: Sequence[Sequence[int]]) -> Tensor:
        sizes = self.factors
        mixed = _mix_powers(columns.view(sizes.blocks, sizes.core, sizes.power, columns.shape[1]))
        return _mix_core(mixed, core).reshape(columns.shape)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.size}, {self.factors}"


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rotation: Rotation) -> Tensor:
        ctx.rotation = rotation
        return rotation.turn(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.rotation.turn_back(grad), None


def _mix_powers(x: Tensor) -> Tensor:
    """Multiply the third axis, a power of two, by Sylvester's matrix: fast Walsh-Hadamard transform."""
    shape, width = x.shape, 1
    while width < shape[2]:
        pairs = x.view(*shape[:2], shape[2] // (2 * width), 2, width, shape[3])
        mixed = torch.empty_like(pairs)
        first, second = pairs.unbind(dim=3)
        torch.add(first, second, out=mixed[:, :, :, 0])
        torch.sub(first, second, out=mixed[:, :, :, 1])
        x, width = mixed, 2 * width
    return x.view(shape)


def _mix_core(x: Tensor, negative: Sequence[Sequence[int]]) -> Tensor:
    """Multiply the second axis by a matrix of +-1 whose columns have their -1 in these rows."""
    if len(negative) == 1:
        return x
    mixed = x.sum(dim=1, keepdim=True).repeat(1, len(negative), 1, 1)
    for column, rows in enumerate(negative):
        for row in rows:
            mixed[:, column].sub_(x[:, row], alpha=2)
    return mixed


def _negative_rows(matrix: Tensor) -> list[list[int]]:
    return [(column < 0).nonzero().flatten().tolist() for column in matrix.T]


class RmsNorm(nn.Module):
    """Division by the root mean square of the last axis: LayerNorm of centred values without its scale and shift.

    Args:
        eps: Added to the mean square.
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to the same."""
        return F.rms_norm(x, x.shape[-1:], None, self.eps)


class Centre(nn.Module):
    """Subtracts the mean of the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to the same."""
        return x - x.mean(dim=-1, keepdim=True)
