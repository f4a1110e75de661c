"""How far ONNX Runtime is from the simulation that was exported: python -m benchmarks.onnx_export [RECIPE]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from reliability.data.registry import open_data
from reliability.evaluate.engine import Engine
from reliability.evaluate.exporting import export_candidate
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_candidate, parse_model
from reliability.quant.recipe import parse_recipe
from reliability.types import Embeddings

PICTURES = 1000


def main() -> None:
    recipe, model = parse_recipe(sys.argv[1] if sys.argv[1:] else "w8a8-minmax-both"), parse_model("zoo:scenes-clean")
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Cache(Path(folder) / "cache"), open_data("scenes", limit=PICTURES))
        export_candidate(engine, model, recipe, Path(folder) / "onnx", ("vision", "text"))
        task = engine.data.task("id")
        graphs = parse_candidate(f"exported=onnx:{folder}/onnx")
        simulated, run = (engine.pair(model, one, task).candidate.part for one in (recipe, graphs))
    print(f"{recipe.name}, zoo:scenes-clean, {len(run.ids)} pictures of scenes, task id")
    for line in compared(simulated, run):
        print(line)


def compared(simulated: Embeddings, run: Embeddings) -> list[str]:
    """Differences in embeddings and answers."""
    away = np.abs(simulated.image - run.image).max(axis=1)
    lengths = np.linalg.norm(simulated.image, axis=1) * np.linalg.norm(run.image, axis=1)
    cosines = (simulated.image * run.image).sum(axis=1) / lengths
    flips = (simulated.logits.argmax(axis=1) != run.logits.argmax(axis=1)).sum()
    return [
        f"largest magnitude of an embedding   {np.abs(simulated.image).max():.3g}",
        f"difference, median and largest      {np.median(away):.2g}, {away.max():.3g}",
        f"pictures within 1e-4                {(away < 1e-4).mean():.1%}",
        f"smallest cosine                     {cosines.min():.5f}",
        f"text features, largest difference   {np.abs(simulated.text - run.text).max():.2g}",
        f"answers changed                     {flips} of {len(run.ids)}",
    ]


if __name__ == "__main__":
    main()
