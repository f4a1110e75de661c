"""Write a recipe's result, or a saved candidate, for another runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reliability.errors import UsageError
from reliability.evaluate.engine import Engine
from reliability.evaluate.running.own import SAVED_CODE
from reliability.evaluate.storage.code_version import code_version
from reliability.models.sidecar import GRAPHS, SIDECAR, Sidecar
from reliability.models.spec import ModelSpec
from reliability.quant.export.onnx_graph import OPSET, export_tower
from reliability.quant.recipe import Recipe, Tower
from reliability.quant.saved import load_saved
from reliability.quant.saved_record import read_record
from reliability.quant.towers import RangeData


@dataclass(frozen=True)
class Exported:
    """What was written: each tower's file, and the name of the recipe."""

    files: dict[Tower, Path]
    recipe: str


def export_candidate(
    engine: Engine, model: ModelSpec, source: Recipe | Path, to: Path, towers: Sequence[Tower]
) -> Exported:
    """Write towers as ONNX graphs with quantize and dequantize nodes.

    Args:
        engine: Its data set gives the range-setting data.
        model: The FP32 model.
        source: A recipe to apply, or the folder of a saved candidate.
        to: A file for one tower, or a folder, which also gets a sidecar with the logit scale.
        towers: Which towers.

    Raises:
        UsageError: There is a file already, or one file is to hold two towers.
        QuantizationError: ONNX has no exact counterpart of what the recipe does.
    """
    files = _files(to, towers)
    reference = engine.loaded().reference(model)
    network, name = _network(engine, model, source)
    pair = engine.data.range_setting(1, 0)
    example = RangeData(reference.to_input(pair.images), reference.tokenizer(pair.captions))
    for tower, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        export_tower(network, tower, path, example)
    if to.suffix != ".onnx":
        scale = float(network.logit_scale.detach().double().exp())
        made = {"reference": model.text, "recipe": name, "opset": OPSET, "torch": torch.__version__}
        (to / SIDECAR).write_text(json.dumps(Sidecar(scale, made).fields, indent=1) + "\n")
    return Exported(files, name)


def _network(engine: Engine, model: ModelSpec, source: Recipe | Path) -> tuple[Any, str]:
    recipe = read_record(source).recipe if isinstance(source, Path) else source
    if recipe.backend:
        raise UsageError(
            where=f"recipe {recipe.name}", what="what runs on kernels of another library is not exported",
            got=recipe.backend, next=f"export its simulation, {recipe.simulated.name}",
        )  # fmt: skip
    if isinstance(source, Path):
        reference = engine.loaded().reference(model).clip
        return load_saved(source, reference, code_version(*SAVED_CODE)).network, recipe.name
    return engine.loaded().network(model, source).cpu(), recipe.name


def _files(to: Path, towers: Sequence[Tower]) -> dict[Tower, Path]:
    if to.suffix == ".onnx" and len(towers) > 1:
        raise UsageError(
            where=f"--to {to}", what="one file holds one tower", got=" and ".join(towers),
            next="choose one with --tower, or name a folder for both",
        )  # fmt: skip
    files = {tower: to if to.suffix == ".onnx" else to / GRAPHS[tower] for tower in towers}
    there = [path for path in files.values() if path.exists()]
    if there:
        raise UsageError(where=f"--to {to}", what="the file is there already", got=str(there[0]), next="name another")
    return files
