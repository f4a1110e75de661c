"""A convolution as a matrix product of its windows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError

_Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """What a Conv2d's outputs are products with.

    Attributes:
        kernel, stride, dilation: Rows and columns of pixels.
        padding: Left, right, top, bottom.
        mode: As ``nn.functional.pad`` knows it.
    """

    kernel: _Pair
    stride: _Pair
    dilation: _Pair
    padding: tuple[int, ...]
    mode: str

    @classmethod
    def of(cls, name: str, layer: nn.Conv2d) -> Windows:
        """The windows of a layer.

        Raises:
            QuantizationError: Its channels are convolved in groups, which is no single product.
        """
        if layer.groups > 1:
            raise QuantizationError(
                where=f"layer {name}",
                what="integer and fp8 kernels multiply matrices, and a grouped convolution is many small products",
                got=f"{layer.groups} groups",
                next="simulate this recipe, or quantize the other tower",
            )
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        padding = tuple(layer._reversed_padding_repeated_twice)
        return cls(layer.kernel_size, layer.stride, layer.dilation, padding, mode)  # type: ignore[arg-type]

    def rows(self, images: Tensor, fill: float = 0.0) -> Tensor:
        """[N, C, H, W] to [N, H' * W', kh * kw * C], in the order of ``formats.sharing.columns`` of a weight.

        Args:
            images: Values or codes.
            fill: What padded zeros are: the code of 0 where codes are given.
        """
        if any(self.padding):
            images = F.pad(images, self.padding, self.mode, fill if self.mode == "constant" else None)
        if self._tile(images):
            (kh, kw), (n, c, h, w) = self.kernel, images.shape
            tiles = images.view(n, c, h // kh, kh, w // kw, kw)
            return tiles.permute(0, 2, 4, 3, 5, 1).reshape(n, (h // kh) * (w // kw), kh * kw * c)
        patches = F.unfold(images, self.kernel, self.dilation, stride=self.stride)
        apart = patches.view(*images.shape[:2], -1, patches.shape[-1])
        return apart.permute(0, 3, 2, 1).flatten(2)

    def images(self, rows: Tensor, like: Tensor) -> Tensor:
        """[N, H' * W', out] to [N, out, H', W'], for the input that the rows came from."""
        return rows.mT.reshape(rows.shape[0], rows.shape[-1], *self._size(like))

    def _tile(self, images: Tensor) -> bool:
        """Whether windows neither overlap nor leave a pixel out, as patches do."""
        whole = all(length % k == 0 for length, k in zip(images.shape[2:], self.kernel, strict=True))
        return whole and self.stride == self.kernel and self.dilation == (1, 1)

    def _size(self, images: Tensor) -> _Pair:
        left, right, top, bottom = self.padding
        padded = images.shape[2] + top + bottom, images.shape[3] + left + right
        height, width = (
            (length - d * (k - 1) - 1) // s + 1
            for length, k, s, d in zip(padded, self.kernel, self.stride, self.dilation, strict=True)
        )
        return height, width
