"""RaanA: rotate what every layer takes in, give layers widths by sensitivity, and code weights by RaBitQ."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor, nn

from reliability.quant.formats.sharing import columns, from_columns
from reliability.quant.formats.values import Scales
from reliability.quant.formats.weights import half_integer_format
from reliability.quant.layers import put_weight
from reliability.quant.methods.allocation import Choice, allocate
from reliability.quant.methods.caption_loss import CaptionLoss
from reliability.quant.methods.layer_inputs import input_columns
from reliability.quant.methods.mixed import report_widths
from reliability.quant.methods.rabitq import encode_rows
from reliability.quant.methods.rotation.inputs import RotatedLinear, rotation_of
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.recipe import EACH_TOWER, Recipe
from reliability.quant.towers import gemm_layers, replace_module
from reliability.quant.widths import set_width


@dataclass(frozen=True)
class RaanaSettings:
    """How widths are chosen.

    Attributes:
        widths: In bits.
        pairs: Range-setting pairs that sensitivities are estimated on, the first ones.
        batch: Of them at a time.
    """

    widths: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    pairs: int = 64
    batch: int = 32


DEFAULTS = RaanaSettings()


def add_rotations(model: nn.Module, recipe: Recipe) -> None:
    """Put a rotation before every Linear; the model computes nothing sensible until its weights are rotated.

    Conventions:
        Signs follow from the recipe's seed and are saved with the model. Layers of one
        module share them, so that queries, keys and values can be had from one rotation.
    """
    for tower in EACH_TOWER:
        if not recipe.quantizes(tower):
            continue
        owners: dict[str, int] = {}
        for name, layer in gemm_layers(model, tower).items():
            if isinstance(layer, nn.Linear) and not recipe.leaves_float(name):
                owner = owners.setdefault(name.rpartition(".")[0], len(owners))
                rotation = rotation_of(layer.in_features, (recipe.seed, EACH_TOWER.index(tower), owner))
                replace_module(model, name, RotatedLinear(layer, rotation.to(layer.weight.device)))


@torch.no_grad()
def rotate(bench: Workbench) -> None:
    """Rotate the rows of every weight as the inputs they meet, in float64, in place."""
    for module in bench.model.modules():
        if isinstance(module, RotatedLinear):
            module.linear.weight.copy_(module.rotation(module.linear.weight.double()))


def apply(bench: LayerBench, settings: RaanaSettings = DEFAULTS) -> None:
    """Give every layer the width that its sensitivity justifies, and its weights RaBitQ codes.

    Conventions:
        The budget is the size, with scales, of all layers at the width that the recipe's
        name states, which is thus an average. Sensitivity is a in the estimated error a
        2^-b of a layer of b bits, see :func:`sensitivities`; the sum of errors is made as
        small as the budget allows, exactly. A recipe with ``a16`` leaves activations in
        float, as the source does.

    Source:
        Yang et al., RaanA (arXiv 2504.03717): RaBitQ-H and AllocateBits. Departures: one
        Hadamard matrix of the whole size where there is one, two overlapping ones only
        elsewhere; convolutions, whose inputs overlap, are coded without a rotation; the
        loss is CLIP's contrastive one, on pairs; scales are in float32 and count; outliers
        and means of inputs are not taken apart (``biascorr`` does the latter's part in the
        mean output); with quantized activations, ranges are set behind the rotation.
    """
    errors = sensitivities(bench, settings)
    shapes = {name: layer.weight.shape for name, layer in bench.layers.items()}
    forms = {width: half_integer_format(width) for width in settings.widths}
    nominal = half_integer_format(bench.recipe.weight_bits)
    items = [
        [Choice(form.storage_bits(shapes[name]), errors[name] * 2.0**-width) for width, form in forms.items()]
        for name in bench.layers
    ]
    chosen = allocate(items, sum(nominal.storage_bits(shape) for shape in shapes.values()))
    for (name, layer), number in zip(bench.layers.items(), chosen, strict=True):
        set_width(layer, settings.widths[number])
        weight = bench.float_model.get_parameter(f"{name}.weight").detach()
        codes, scale = encode_rows(columns(weight), settings.widths[number])
        scale = scale.float()
        put_weight(
            layer, from_columns(codes.float() * scale, weight.shape), Scales(scale.reshape(layer.weight_scale.shape))
        )
    report_widths(bench)


@torch.enable_grad()
def sensitivities(bench: LayerBench, settings: RaanaSettings) -> dict[str, float]:
    """For each layer, (|dL/dY| / sqrt(numel Y)) (|X| / sqrt n) (|W| / sqrt d_in), norms of Frobenius.

    Conventions:
        X are the n inputs of the float layer as columns of its product, Y what it gives,
        over the first pairs; L is the caption loss. A distance from the float model's own
        outputs would have no gradient here.
    """
    few = replace(bench, data=bench.data.first(min(settings.pairs, len(bench.data.images))))
    loss = CaptionLoss(few, settings.batch)
    layers = {name: gemm_layers(bench.float_model, bench.recipe.towers)[name] for name in bench.layers}
    seen = {name: _Seen(layer) for name, layer in layers.items()}
    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(layer.register_forward_hook(seen[name].hook).remove)
        for tower in (tower for tower in EACH_TOWER if bench.recipe.quantizes(tower)):
            for rows, value in zip(loss.rows, loss.batches(bench.float_model, tower), strict=True):
                (value * len(rows)).backward()  # type: ignore[no-untyped-call]
    return {name: there.sensitivity() for name, there in seen.items()}


class _Seen:
    """Squares of what a layer takes in and of the gradient by what it gives."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        self.layer = layer
        self.inputs = self.rows = self.gradients = self.outputs = 0.0

    def hook(self, layer: nn.Linear | nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        """Note the inputs, and arrange for the gradient; it starts at a tower's first layer."""
        if not torch.is_grad_enabled():
            return None
        for chunk in input_columns(layer, inputs[0].detach()):
            self.inputs += float(chunk.double().square().sum())
            self.rows += chunk.shape[:2].numel()
        here = output if output.requires_grad else output.detach().requires_grad_()
        here.register_hook(self._note)  # type: ignore[no-untyped-call]
        return here.clone()  # which an activation function may overwrite

    def _note(self, gradient: Tensor) -> None:
        self.gradients += float(gradient.double().square().sum())
        self.outputs += gradient.numel()

    def sensitivity(self) -> float:
        """Of the layer; 0 where no gradient reaches it."""
        weight = self.layer.weight.detach().double()
        gradient = sqrt(self.gradients / self.outputs) if self.outputs else 0.0
        return gradient * sqrt(self.inputs / self.rows) * float(weight.norm()) / sqrt(weight[0].numel())
