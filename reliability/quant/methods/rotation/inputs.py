"""Linears whose input is rotated right before they take it in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reliability.quant.methods.rotation.matrices import factors
from reliability.quant.methods.rotation.modules import Rotation


class OverlappingRotation(nn.Module):
    """Two rotations of a power of two each, of the first channels and then of the last ones.

    Args:
        size: Of the last axis.
        seed: Numbers that the signs depend on.

    Conventions:
        The power is the largest within the size, so that the two overlap.

    Source:
        Yang et al., RaanA (arXiv 2504.03717), the practical Hadamard transform for sizes
        that are no power of two. No departure.
    """

    def __init__(self, size: int, seed: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self.order = size, 1 << (size.bit_length() - 1)
        self.first, self.last = Rotation(self.order, (*seed, 0)), Rotation(self.order, (*seed, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[..., size], any floating dtype, to the same."""
        x = torch.cat([self.first(x[..., : self.order]), x[..., self.order :]], dim=-1)
        begin = self.size - self.order
        return torch.cat([x[..., :begin], self.last(x[..., begin:])], dim=-1)

    def extra_repr(self) -> str:
        """Shown in the module's repr."""
        return f"{self.size}"


def rotation_of(size: int, seed: tuple[int, ...]) -> Rotation | OverlappingRotation:
    """One Hadamard matrix of the whole size where there is one, else two that overlap."""
    return Rotation(size, seed) if factors(size).blocks == 1 else OverlappingRotation(size, seed)


class RotatedLinear(nn.Module):
    """A Linear behind a rotation of its input.

    Args:
        linear: Its weight is to be rotated likewise, row by row.
        rotation: Orthogonal.
    """

    def __init__(self, linear: nn.Linear, rotation: nn.Module) -> None:
        super().__init__()
        self.rotation, self.linear = rotation, linear

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return self.linear(self.rotation(x))  # type: ignore[no-any-return]

    @property
    def weight(self) -> Tensor:
        """The Linear's own, whose dtype open_clip asks for."""
        return self.linear.weight
