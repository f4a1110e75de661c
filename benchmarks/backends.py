"""Real kernels against FP32 eager on ViT-B-32's vision tower, all timed in turn, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import nn

from reliability.errors import MissingExtraError
from reliability.quant.backends.registry import BACKENDS, require_available
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.recipe import parse_recipe
from reliability.torchvision_shim import ensure_torchvision_imports

_BATCH, _ROUNDS = 32, 7
_TARGET = "0.50"
_INTEGER_BACKENDS = ("torch-int8", "onnxruntime", "torchao")
RECIPES = (
    *(f"{recipe}@{backend}" for backend in _INTEGER_BACKENDS for recipe in ("w8a8-minmax", "w8a8-dynamic")),
    "w8a16-minmax@torchao",
    "w4a16_g32-rtn@torchao",
)


def _clip() -> tuple[nn.Module, RangeData]:
    """Random weights: time does not depend on them."""
    ensure_torchvision_imports()
    import open_clip

    torch.set_num_threads(1)
    torch.manual_seed(0)
    clip = open_clip.create_model("ViT-B-32").eval()
    return clip, RangeData(torch.randn(_BATCH, 3, 224, 224), open_clip.tokenize(["a photo"] * _BATCH))


def _ratios(works: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Median over rounds of each time over the first one's in the same round, after a round that is not counted."""
    rounds: list[list[float]] = []
    for _ in range(_ROUNDS + 1):
        row = []
        for work in works.values():
            started = time.perf_counter()
            work()
            row.append(time.perf_counter() - started)
        rounds.append(row)
    return {name: median(row[i] / row[0] for row in rounds[1:]) for i, name in enumerate(works)}


def _mib(clip: nn.Module) -> float:
    total: int = sum(value.nbytes for value in clip.state_dict().values())
    return total / 2**20


def backend_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target."""
    clip, data = _clip()
    models: dict[str, Any] = {"FP32": clip}
    rows = []
    for name in RECIPES:
        recipe = replace(parse_recipe(name), range_images=8)
        try:
            require_available([recipe], "cpu")
        except MissingExtraError:
            rows.append((name, f"needs the extra {BACKENDS[recipe.backend].extra}", ""))
            continue
        models[name] = prepare(clip, recipe, data)
    with torch.inference_mode():
        for pictures in (_BATCH, 1):
            works = {name: _forward(model, data.images[:pictures]) for name, model in models.items()}
            found = _ratios(works)
            what = f"over FP32 eager, ViT-B-32 vision, batch of {pictures}"
            rows += [(f"{name} {what}", f"{found[name]:.2f}", _target(name, pictures)) for name in list(found)[1:]]
    sizes = [(f"{name}, all tensors of the model", f"{_mib(model):.0f} MiB", "") for name, model in models.items()]
    return [*rows, *sizes]


def _forward(model: Any, images: torch.Tensor) -> Callable[[], Any]:
    return lambda: model.encode_image(images)


def _target(name: str, pictures: int) -> str:
    return _TARGET if pictures == _BATCH and name.startswith("w8a8") else ""
