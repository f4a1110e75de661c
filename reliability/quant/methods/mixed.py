"""Mixed precision: each layer gets the width that its share of the embeddings' error justifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.quant.formats.weights import WeightFormat, weight_format, with_width
from reliability.quant.layers import QuantLayer, put_weight
from reliability.quant.methods.allocation import Choice, allocate
from reliability.quant.methods.caption_loss import inputs_of
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.recipe import EACH_TOWER, Tower
from reliability.quant.towers import encode, gemm_layers
from reliability.quant.widths import set_width

_BATCH = 64


@dataclass(frozen=True)
class MixedSettings:
    """What is tried.

    Attributes:
        widths: In bits, from narrow to wide.
        pairs: Range-setting pairs that errors are measured on, the first ones.
    """

    widths: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    pairs: int = 64


DEFAULTS = MixedSettings()


def apply(bench: LayerBench, settings: MixedSettings = DEFAULTS) -> None:
    """Give every layer its width, and round its weight to nearest at that width.

    Conventions:
        The budget is the size, with scales and zero points, of all layers at the width that
        the recipe's name states, which is thus an average. A layer's sensitivity at a width
        is the mean squared distance of unit embeddings that its weight, rounded to nearest,
        causes alone in the float model. Sensitivities of layers add up, those of two towers
        too. The sum is made as small as the budget allows, exactly. Activations have the
        recipe's width everywhere.

    Source:
        Dong et al., HAWQ-V2, NeurIPS 2020 (arXiv 1911.03852), on sensitivities that add up
        under a budget; Cai et al., ZeroQ, CVPR 2020 (arXiv 2001.00281), section 3.2, on
        measuring each by quantizing one layer alone. Departures: distances of embeddings in
        place of a Hessian's trace or a divergence of outputs; the optimum is exact.
    """
    names = list(bench.layers)
    errors = sensitivities(bench, settings)
    nominal = weight_format(bench.recipe)
    forms = [with_width(nominal, width) for width in settings.widths]
    shapes = {name: layer.weight.shape for name, layer in bench.layers.items()}
    budget = sum(nominal.storage_bits(shape) for shape in shapes.values())
    items = [
        [Choice(form.storage_bits(shapes[name]), error) for form, error in zip(forms, errors[name], strict=True)]
        for name in names
    ]
    widths = {name: settings.widths[choice] for name, choice in zip(names, allocate(items, budget), strict=True)}
    put_widths(bench, widths)


def put_widths(bench: LayerBench, widths: Mapping[str, int]) -> None:
    """Round the weights of layers to nearest at their widths."""
    for name, width in widths.items():
        layer = bench.layers[name]
        set_width(layer, width)
        weight = bench.float_model.get_parameter(f"{name}.weight").detach()
        put_weight(layer, weight, layer.format.scales(weight))
    report_widths(bench)


def report_widths(bench: LayerBench) -> None:
    """One line on how many layers have which width."""
    counts = Counter(layer.format.values.bits for layer in bench.layers.values())
    parts = ", ".join(f"{count} of {width} bits" for width, count in sorted(counts.items()))
    bench.report(f"{bench.recipe.name}: {parts}; {bits_per_weight(bench.layers):.2f} bits per weight with scales")


def bits_per_weight(layers: Mapping[str, QuantLayer]) -> float:
    """Storage of all layers' weights with their scales, over the number of weights."""
    weights = [layer.weight for layer in layers.values()]
    stored = sum(layer.format.storage_bits(layer.weight.shape) for layer in layers.values())
    return stored / sum(weight.numel() for weight in weights)


@torch.no_grad()
def sensitivities(bench: LayerBench, settings: MixedSettings) -> dict[str, list[float]]:
    """For each layer, the embeddings' error at each width when it alone is rounded."""
    forms = [with_width(weight_format(bench.recipe), width) for width in settings.widths]
    found: dict[str, list[float]] = {}
    for tower in EACH_TOWER:
        if bench.recipe.quantizes(tower):
            inputs = inputs_of(bench.data, tower)[: settings.pairs]
            wanted = _unit_embeddings(bench.float_model, tower, inputs)
            names = [name for name in gemm_layers(bench.model, tower) if name in bench.layers]
            for name in names:
                found[name] = [_error(bench.float_model, tower, inputs, wanted, name, form) for form in forms]
    return found


def _error(model: nn.Module, tower: Tower, inputs: Tensor, wanted: Tensor, name: str, form: WeightFormat) -> float:
    with _rounded(model.get_parameter(f"{name}.weight"), form):
        return float((_unit_embeddings(model, tower, inputs) - wanted).square().sum(dim=1).mean())


@contextmanager
def _rounded(weight: nn.Parameter, form: WeightFormat) -> Iterator[None]:
    """Put a weight on its grid for the time being."""
    before = weight.detach().clone()
    try:
        weight.copy_(form.snap(before, form.scales(before)))
        yield
    finally:
        weight.copy_(before)


def _unit_embeddings(model: nn.Module, tower: Tower, inputs: Tensor) -> Tensor:
    parts = [encode(model, tower, part) for part in torch.split(inputs, _BATCH)]
    return F.normalize(torch.cat(parts).double(), dim=1)
