"""What the layers of a vision tower make of pictures: their features, and the spatial frequencies of their maps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from reliability.errors import ModelError
from reliability.evaluate.running.embed import BATCH
from reliability.evaluate.storage.cache import Arrays
from reliability.metrics.fourier import energy_by_band

if TYPE_CHECKING:
    from reliability.evaluate.running.candidates import Candidates
    from reliability.models.spec import ModelSpec
    from reliability.quant.recipe import Recipe
    from reliability.types import ImageSource

PICTURES = 256
"""Of a source, the first ones. Maps of so many are some 30 MB a candidate, so only what is read from them is kept."""
PENULTIMATE = "penultimate"
"""What the projection to the shared space reads."""
_LAYERS = re.compile(r"(transformer\.resblocks|trunk\.blocks|trunk\.stages)\.\d+|layer\d")
_BEFORE_PROJECTION = ("ln_post", "trunk")


def layer_features(candidates: Candidates, model: ModelSpec, recipe: Recipe, source: ImageSource) -> Arrays:
    """Features and frequencies of every layer, on the first pictures of a source.

    Args:
        candidates: Runs the model.
        model: Whose preprocessing is used.
        recipe: What is run, which may be the reference itself.
        source: Of the pictures.

    Returns:
        For each layer, in their order, ``NAME/pooled`` [N, C] float32, the mean over places, and
        ``NAME/energy`` [N, 5] float64, as :func:`reliability.metrics.fourier.energy_by_band` gives
        it; and ``penultimate/pooled`` [N, C] where the tower has a norm or trunk before its projection.

    Raises:
        ModelError: The tower has no layers that are known here.

    Conventions:
        A layer is a residual block of open_clip's or timm's transformers, or a stage of a
        convolutional tower. Tokens are laid out as the grid of patches they stand for; a class
        token is part of neither figure, but is what ``penultimate`` reads where the tower does.
    """
    clip = candidates.reference(model)
    network = clip.clip if recipe.is_float else candidates.network(model, recipe)
    found: dict[str, list[Any]] = {}
    with ExitStack() as stack, torch.inference_mode():
        for name, module in watched(network.visual).items():
            stack.callback(module.register_forward_hook(_note(found, name)).remove)
        for batch in islice(source.batches(BATCH), PICTURES // BATCH):
            network.encode_image(clip.to_input(batch.images).to(next(network.visual.parameters()).device))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def watched(visual: nn.Module) -> dict[str, nn.Module]:
    """Layers by name, and what feeds the projection.

    Raises:
        ModelError: There are no layers.
    """
    layers = {name: module for name, module in visual.named_modules() if _LAYERS.fullmatch(name)}
    if not layers:
        raise ModelError(
            where=type(visual).__name__, what="the vision tower has no residual blocks or stages that are known here",
            got=", ".join(name for name, _ in visual.named_children()), next="leave claims about layers out",
        )  # fmt: skip
    last = [getattr(visual, name) for name in _BEFORE_PROJECTION if hasattr(visual, name)]
    return layers | ({PENULTIMATE: last[0]} if last else {})


def _note(found: dict[str, list[Any]], name: str) -> Any:
    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        del module, inputs
        for kind, part in _read(name, output):
            found.setdefault(f"{name}/{kind}", []).append(part)

    return note


def _read(name: str, output: Any) -> Iterator[tuple[str, Any]]:
    """What is kept of a layer's output."""
    x = output.float().cpu()
    if name == PENULTIMATE:
        yield "pooled", (x[:, 0] if x.ndim == 3 else x).numpy()
        return
    maps = as_maps(x)
    yield "pooled", maps.mean(axis=(1, 2))
    yield "energy", energy_by_band(maps.astype(np.float64))


def as_maps(x: Tensor) -> Any:
    """A layer's output as [N, H, W, C]: tokens [N, T, C], with a class token before them or not, or maps [N, C, H, W].

    Raises:
        ModelError: The tokens form no square.
    """
    if x.ndim == 4:
        return x.permute(0, 2, 3, 1).numpy()
    for before in (0, 1):
        side = math.isqrt(x.shape[1] - before)
        if side * side == x.shape[1] - before:
            return x[:, before:].reshape(len(x), side, side, -1).numpy()
    raise ModelError(
        where="a layer of the vision tower", what="its tokens form no square grid, with or without a class token",
        got=f"{x.shape[1]} tokens", next="leave claims about layers out",
    )  # fmt: skip
