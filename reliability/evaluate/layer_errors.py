"""Error of every layer of a candidate against the reference's own, on range-setting pairs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from reliability.evaluate.comparison.breakdown import Basis, LayerError
from reliability.models.spec import ModelSpec
from reliability.quant.methods.folds import find_folds
from reliability.quant.range_setting import Feed
from reliability.quant.recipe import AUTO, EACH_TOWER, Recipe
from reliability.quant.surgery import split_attention
from reliability.quant.towers import RangeData, encode, gemm_layers, up_to_end_of_text

if TYPE_CHECKING:
    from reliability.evaluate.engine import Engine

PAIRS = 32
_BATCH = 2
"""So that every layer's output fits into memory twice."""

_ROTATED_BY, _ROTATED, _CENTRED = "hadamard", ("v_proj", "out_proj", "c_proj"), ("out_proj", "c_proj")


def layer_errors(engine: Engine, model: ModelSpec, recipe: Recipe) -> list[LayerError]:
    """Both models run side by side, layer by layer, in the order in which they stand.

    Args:
        engine: Loads both; the candidate must have been prepared, or is now.
        model: The reference.
        recipe: Of a candidate; of one on kernels its simulation is taken.

    Conventions:
        Errors add up along the model: a layer's input already differs. Some methods rewrite
        the float model so that a layer gives the same in other coordinates: values scaled
        per channel before attention's output layer, or a rotated residual stream. Such
        layers are compared after the scales or the rotation of least squared difference,
        and say so. Text positions after the end of text do not count.
    """
    loaded, simulated = engine.loaded(), recipe.simulated
    reference, pairs = loaded.reference(model), engine.data.range_setting(PAIRS, recipe.seed)
    data = RangeData(reference.to_input(pairs.images), reference.tokenizer(pairs.captions))
    data = data.to(torch.device(engine.device))
    explicit = split_attention(copy.deepcopy(reference.clip).eval(), simulated.towers)
    network = loaded.network(model, simulated)
    sums = {name: _Sums(_basis(name, scaled)) for scaled in [_scaled(explicit, simulated)]
            for name in gemm_layers(explicit, simulated.towers) if _has(network, name)}  # fmt: skip
    for run in _runs(simulated, data):
        outputs = [_outputs(clip, sums, run) for clip in (explicit, network)]
        for name, found in sums.items():
            if name in outputs[0] and name in outputs[1]:
                found.add(outputs[0][name], outputs[1][name])
    return [LayerError(name, found.sqnr_db(), found.basis) for name, found in sums.items() if found.signal > 0]


@dataclass
class _Sums:
    """What errors of one layer follow from, summed over places."""

    basis_of: tuple[Basis, bool]
    signal: float = 0.0
    noise: float = 0.0
    energy: Any = field(default=0.0)
    cross: Any = field(default=0.0)

    @property
    def basis(self) -> Basis:
        return self.basis_of[0]

    def add(self, reference: Tensor, candidate: Tensor) -> None:
        """Take in one batch, [rows, channels] each."""
        basis, centred = self.basis_of
        first, second = reference.double(), candidate.double()
        if centred:
            first = first - first.mean(dim=1, keepdim=True)
        self.signal += float(first.square().sum())
        if basis == "as it is":
            self.noise += float((first - second).square().sum())
        elif basis == "best scale per channel":
            self.energy = self.energy + second.square().sum(dim=0)
            self.cross = self.cross + (first * second).sum(dim=0)
        else:
            self.energy = self.energy + second.square().sum()
            self.cross = self.cross + first.T @ second

    def sqnr_db(self) -> float | None:
        """Signal over noise, after the scales or the rotation that leave least of it."""
        noise = self.noise
        if self.basis == "best scale per channel":
            noise = self.signal - float((self.cross.square() / self.energy.clamp_min(1e-300)).sum())
        elif self.basis == "best rotation":
            noise = self.signal + float(self.energy) - 2.0 * float(torch.linalg.matrix_norm(self.cross, "nuc"))
        # Differences of large sums: below this they are rounding.
        return 10.0 * math.log10(self.signal / noise) if noise > 1e-12 * self.signal else None


def _basis(name: str, scaled: frozenset[str]) -> tuple[Basis, bool]:
    """In which coordinates a layer's output is to be compared, and whether those take the mean out."""
    last = name.rpartition(".")[2]
    if name in scaled:
        return "best scale per channel", False
    return ("best rotation", last in _CENTRED) if f"*{last}" in scaled else ("as it is", False)


def _scaled(explicit: nn.Module, recipe: Recipe) -> frozenset[str]:
    """Names of layers whose outputs the recipe scales, and of kinds of layers whose outputs it rotates."""
    if _ROTATED_BY in recipe.stages:
        return frozenset(f"*{last}" for last in _ROTATED)
    searched = "smoothquant" in recipe.stages and recipe.alpha == AUTO
    if "awq" not in recipe.stages and not searched:
        return frozenset()  # other methods fold scales into layers' inputs alone
    sources = [fold.source for tower in EACH_TOWER if recipe.quantizes(tower) for fold in find_folds(explicit, tower)]
    return frozenset(n for n, module in explicit.named_modules() if any(module is source for source in sources))


def _has(network: nn.Module, name: str) -> bool:
    try:
        network.get_submodule(name)
    except AttributeError:
        return False
    return True


def _runs(recipe: Recipe, data: RangeData) -> Iterator[tuple[Literal["vision", "text"], Tensor]]:
    inputs: Mapping[Literal["vision", "text"], Tensor] = {"vision": data.images, "text": data.tokens}
    for tower, whole in inputs.items():
        if recipe.quantizes(tower):
            yield from ((tower, part) for part in torch.split(whole, _BATCH))


def _outputs(
    clip: nn.Module, names: Mapping[str, Any], run: tuple[Literal["vision", "text"], Tensor]
) -> dict[str, Tensor]:
    """Each layer's output as [rows, channels]."""
    tower, batch = run
    feed = Feed(clip)
    feed.keep = up_to_end_of_text(clip, batch) if tower == "text" else None
    found: dict[str, Tensor] = {}
    with (
        _hooked(clip, names, lambda name, x: found.__setitem__(name, _as_rows(feed.counting(x)))),
        torch.inference_mode(),
    ):
        encode(clip, tower, batch)
    return found


@contextmanager
def _hooked(clip: nn.Module, names: Mapping[str, Any], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            module = clip.get_submodule(name)
            stack.callback(module.register_forward_hook(lambda _, __, x, name=name: see(name, x)).remove)
        yield


def _as_rows(x: Tensor) -> Tensor:
    """[..., C], or a convolution's [N, C, H, W], as [rows, C]."""
    return (x.movedim(1, -1) if x.ndim == 4 else x).flatten(0, -2) if x.ndim > 1 else x[None]
