"""SmoothQuant with a strength of each fold's own, searched by the error of its readers' outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reliability.quant.formats import weight_format
from reliability.quant.methods.folds import Fold, apply_scale, find_folds
from reliability.quant.methods.norm_pairs import in_each_tower
from reliability.quant.methods.smoothquant import smoothing_scale
from reliability.quant.methods.workbench import Workbench
from reliability.quant.observers import require_finite
from reliability.quant.quantizers import ACTIVATIONS, RangeQuantizer
from reliability.quant.range_setting import RANGE_OBSERVERS, Site, observe
from reliability.quant.recipe import Recipe

STRENGTHS = tuple(step / 10 for step in range(11))
"""Migration strengths that are tried, beside leaving a fold as it is."""

_ROWS = 2048
"""Tokens on which errors are measured, evenly spaced over all; ranges are set on all."""


def smooth(bench: Workbench) -> None:
    """Fold the best smoothing scale into every source and its readers, in place.

    Conventions:
        The error is that of the readers' outputs, summed, with activations and weights
        quantized as the recipe says (a moving average takes all data for one batch). A
        fold is left alone where that is best. Inputs are those of the float model.

    Source:
        Xiao et al., SmoothQuant, ICML 2023 (arXiv 2211.10438), equation 4 and section 5.1 on
        searching the strength. Departures: a strength for each fold in place of one for a
        model; attention's values and its output layer are folded too, which is exact; one
        scale for all readers of a LayerNorm, from the largest weight among them.

    Raises:
        QuantizationError: A tower has nothing that can take up the scales.
    """
    found = in_each_tower(bench.model, bench.recipe, find_folds, "SmoothQuant", "minmax, percentile, dynamic or lsq")
    folds = {fold.readers[0]: fold for fold in found}
    searches = {name: _Search(bench.model, bench.recipe, fold) for name, fold in folds.items()}
    observe(bench.model, bench.recipe, bench.data, searches.__getitem__, folds, batch=len(bench.data.images))
    for search in searches.values():
        apply_scale(search.fold.source, search.weights, search.best.scales)
    chosen = [search.best.strength for search in searches.values() if search.best.strength is not None]
    mean = f", mean strength {sum(chosen) / len(chosen):.2f}" if chosen else ""
    bench.report(f"{bench.recipe.name}: {len(chosen)} of {len(folds)} folds smoothed{mean}")


@dataclass(frozen=True)
class Trial:
    """A strength, None for none, its scales [K], and the readers' squared error with them."""

    strength: float | None
    scales: Tensor
    error: float


class _Search:
    """Looks for the best trial of a fold once all of its readers' input is there."""

    best: Trial

    def __init__(self, model: nn.Module, recipe: Recipe, fold: Fold) -> None:
        self.recipe, self.fold, self.name = recipe, fold, fold.readers[0]
        self.layer = model.get_submodule(self.name)
        self.weights = [model.get_parameter(f"{name}.weight") for name in fold.readers]

    def update(self, x: Tensor) -> None:
        """Take in the readers' input [..., K], all at once."""
        x = x.detach().flatten(0, -2)
        require_finite(x.abs().amax(), self.name)
        self.best = min(self.trials(x), key=lambda trial: trial.error)

    def trials(self, x: Tensor) -> list[Trial]:
        """Every trial, the fold as it is first, which wins a tie."""
        amax = torch.stack([weight.abs().amax(dim=0) for weight in self.weights]).amax(dim=0)
        found = [self._trial(x, None, torch.ones_like(amax))]
        for strength in STRENGTHS:
            found.append(self._trial(x, strength, smoothing_scale(x.abs().amax(dim=0), amax, strength)))
        return found

    def _trial(self, x: Tensor, strength: float | None, scales: Tensor) -> Trial:
        smoothed = x / scales
        quantizer = ACTIVATIONS[self.recipe.activation](self.recipe, self.layer).to(x.device)
        if isinstance(quantizer, RangeQuantizer):
            observer = RANGE_OBSERVERS[self.recipe.range_setting](Site(self.name, self.recipe, quantizer))
            observer.update(smoothed)
            quantizer.set_range(*observer.result())
        every = slice(None, None, -(-len(x) // _ROWS))
        rows, form = quantizer(smoothed[every]), weight_format(self.recipe)
        error = 0.0
        for weight in self.weights:
            scaled = weight * scales
            made = rows @ form.snap(scaled, form.scales(scaled)).T
            error += float((made - x[every] @ weight.T).double().square().sum())
        return Trial(strength, scales, error)
