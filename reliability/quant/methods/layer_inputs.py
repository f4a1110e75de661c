"""What layers take in, as the columns that their products sum over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.quant.formats.sharing import columns, from_columns
from reliability.quant.layers import QuantLayer
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.observers import require_finite, unseen
from reliability.quant.range_setting import observe

_CHUNK = 1 << 23
"""Numbers unfolded at once."""

Visit = Callable[[str, QuantLayer, Tensor], None]


def visit_layers(bench: LayerBench, visit: Visit) -> None:
    """Run the quantized model once and stop before each layer, which may be changed there.

    Args:
        bench: Its model is run over all of its data at once.
        visit: Takes a layer's name, the layer, and what its product takes in: inputs
            [..., in] or [N, in, H, W] after the layer's own activation quantizer.

    Conventions:
        A layer sees what the layers before it give as they were left by their own
        visits. Text positions after the end of text are left out. A layer that runs
        twice is visited the first time.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    visitors = observe(
        bench.model,
        bench.recipe,
        bench.data,
        lambda name: _Visitor(name, bench.layers[name], visit),
        bench.layers,
        batch=len(bench.data.images),
    )
    for name, visitor in visitors.items():
        if not visitor.done:
            raise unseen(name)


@dataclass
class _Visitor:
    name: str
    layer: QuantLayer
    visit: Visit
    done: bool = False

    def update(self, x: Tensor) -> None:
        if not self.done:
            require_finite(x.abs().amax(), self.name)
            self.visit(self.name, self.layer, self.layer.activation(x))
            self.done = True


def input_columns(layer: nn.Linear | nn.Conv2d, x: Tensor) -> Iterator[Tensor]:
    """What each output of a layer is the product with, in chunks [groups, rows, K].

    Args:
        layer: Its groups are 1 but for a grouped convolution.
        x: [..., in] or [N, in, H, W].

    Conventions:
        The order within K is that of :func:`reliability.quant.formats.sharing.columns`
        of the layer's weight: a convolution's channels run fastest. Padding is part of it.
    """
    if isinstance(layer, nn.Linear):
        rows = x.reshape(-1, x.shape[-1])
        yield from torch.split(rows[None], max(1, _CHUNK // rows.shape[1]), dim=1)
        return
    area = layer.weight[0, 0].numel()
    for images in torch.split(x, max(1, _CHUNK // (x[0].numel() * area))):
        patches = F.unfold(_padded(layer, images), layer.kernel_size, layer.dilation, stride=layer.stride)
        apart = patches.reshape(len(images), layer.groups, -1, area, patches.shape[-1])
        yield apart.permute(1, 0, 4, 3, 2).flatten(3).flatten(1, 2)


class Moments:
    """Running mean of x, |x| and x x^T over what a layer takes in.

    Args:
        layer: Its weight's shape says how inputs fall into columns.
        second: Whether x x^T is wanted, which takes K times the memory and the time.

    Attributes:
        count: Columns seen.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, second: bool = True) -> None:
        self.layer, self.second, self.count = layer, second, 0
        self._first: Tensor | float = 0.0
        self._magnitude: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def update(self, x: Tensor) -> None:
        """Take in inputs, shaped as in :func:`input_columns`."""
        for chunk in input_columns(self.layer, x):
            wide = chunk.double()
            self.count += wide.shape[1]
            self._first = self._first + wide.sum(dim=1)
            self._magnitude = self._magnitude + wide.abs().sum(dim=1)
            if self.second:
                self._products = self._products + wide.mT @ wide

    @property
    def mean(self) -> Tensor:
        """E[x], [groups, K] float64."""
        return self._mean(self._first)

    @property
    def magnitude(self) -> Tensor:
        """E[|x|], [groups, K] float64."""
        return self._mean(self._magnitude)

    @property
    def products(self) -> Tensor:
        """E[x x^T], [groups, K, K] float64."""
        return self._mean(self._products)

    def _mean(self, total: Tensor | float) -> Tensor:
        assert isinstance(total, Tensor)
        return total / self.count


def moments(layer: nn.Linear | nn.Conv2d, x: Tensor, second: bool = True) -> Moments:
    """Moments of one tensor of inputs."""
    found = Moments(layer, second)
    found.update(x)
    return found


def weight_columns(layer: nn.Linear | nn.Conv2d, weight: Tensor) -> Tensor:
    """A tensor of the weight's shape as [groups, out / groups, K], to go with :func:`input_columns`."""
    rows = columns(weight.detach())
    return rows.view(getattr(layer, "groups", 1), -1, rows.shape[1])


def weight_from_columns(layer: nn.Linear | nn.Conv2d, rows: Tensor) -> Tensor:
    """Undo :func:`weight_columns`, in float32."""
    return from_columns(rows.flatten(0, 1).float(), layer.weight.shape)


def output_error(difference: Tensor, second_moment: Tensor) -> Tensor:
    """Mean squared error of each output, [groups, out / groups].

    Args:
        difference: [groups, out / groups, K] of two weights.
        second_moment: E[x x^T] of the inputs, [groups, K, K].
    """
    return ((difference @ second_moment) * difference).sum(dim=-1)


def _padded(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """Images as a convolution without padding would have to take them in."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return F.pad(images, layer._reversed_padding_repeated_twice, mode=mode)


Rounding = Callable[[QuantLayer, Tensor, Tensor], tuple[float, float]]
"""A layer, its float weight and the second moment of its inputs [groups, K, K] to its output error after the rounding
and as rounding to nearest leaves it."""


def round_layers(bench: LayerBench, rounding: Rounding) -> None:
    """Round every layer by what it takes in, and report how much better than to nearest it came out.

    Raises:
        QuantizationError: An activation is not finite, or a layer saw no data.
    """
    errors: list[tuple[float, float]] = []

    def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
        weight = bench.float_model.get_parameter(f"{name}.weight")
        errors.append(rounding(layer, weight, moments(layer, x).products))

    visit_layers(bench, visit)
    share = sum(after / before for after, before in errors if before) / len(errors)
    bench.report(f"{bench.recipe.name}: {len(errors)} layers, output error {share:.2f} of rounding to nearest's")
