"""Which values share a scale."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Size, Tensor
from torch.nn import functional as F  # noqa: N812

from reliability.quant.number_format import Granularity


def to_blocks(x: Tensor, size: int) -> Tensor:
    """[..., D] to [..., ceil(D / size), size]; the last block is filled up with zeros.

    Zeros change no scale: they are never the largest magnitude, and every range
    includes 0.

    Example:
        >>> import torch
        >>> to_blocks(torch.tensor([1.0, 2.0, 3.0]), 2).tolist()
        [[1.0, 2.0], [3.0, 0.0]]
    """
    padded = F.pad(x, (0, -x.shape[-1] % size))
    return padded.reshape(*x.shape[:-1], padded.shape[-1] // size, size)


def from_blocks(blocks: Tensor, width: int) -> Tensor:
    """Undo :func:`to_blocks`."""
    return blocks.flatten(-2)[..., :width]


def columns(weight: Tensor) -> Tensor:
    """A weight [out, in, ...] as [out, inputs of one output], a convolution's channels running fastest.

    Channels run fastest so that the blocks of a weight meet those of activations,
    which are channels at one pixel.
    """
    return weight.movedim(1, -1).flatten(1)


def from_columns(rows: Tensor, shape: Size) -> Tensor:
    """Undo :func:`columns` for a weight of this shape."""
    return rows.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).contiguous()


@dataclass(frozen=True)
class Sharing:
    """How a weight falls into parts that have a scale each.

    Attributes:
        unit: The whole tensor, an output channel, or so many inputs of one channel.

    Conventions:
        The last group of a channel is shorter where the inputs are no multiple of
        the size, and has a scale of its own. Groups never span output channels.
    """

    unit: Granularity

    def split(self, weight: Tensor) -> Tensor:
        """[out, in, ...] as it is, or as groups [out, groups, size]."""
        return to_blocks(columns(weight), self.unit) if isinstance(self.unit, int) else weight

    def merge(self, parts: Tensor, shape: Size) -> Tensor:
        """Undo :meth:`split`."""
        if not isinstance(self.unit, int):
            return parts
        return from_columns(from_blocks(parts, shape[1:].numel()), shape)

    def dims(self, parts: Tensor) -> tuple[int, ...]:
        """Axes of the parts that share a scale."""
        if isinstance(self.unit, int):
            return (-1,)
        return tuple(range(0 if self.unit == "tensor" else 1, parts.ndim))

    def count(self, shape: Size) -> int:
        """Number of scales of a weight of this shape."""
        if isinstance(self.unit, int):
            return shape[0] * -(-shape[1:].numel() // self.unit)
        return 1 if self.unit == "tensor" else shape[0]
