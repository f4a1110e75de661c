"""Reliability of recipes on the embedded scenes: ``python -m benchmarks.recipes w4a8-gptq "w4a4-*"``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import platformdirs
from tabulate import tabulate

from reliability.claims.cases import choose_recipes
from reliability.data.registry import open_data
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.models.spec import parse_model

_PICTURES = 2000


def main() -> None:
    """Print top-1 and ECE on ``id`` and AUROC (MCM) on ``ood/near`` of each recipe, and what preparing it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("recipes", nargs="+", help="names or globs")
    parser.add_argument("--reference", default="zoo:scenes-clean")
    parser.add_argument("--cache-dir", type=Path, default=Path(platformdirs.user_cache_dir("quant-reliability")))
    options = parser.parse_args()
    data = open_data("scenes", limit=_PICTURES)
    engine, model = Engine(Cache(options.cache_dir), data), parse_model(options.reference)
    rows = []
    for recipe in choose_recipes(options.recipes, ()):
        started = time.process_time()
        if not recipe.is_float:
            engine.prepared(model, recipe)
        seconds = time.process_time() - started
        known, near = (engine.pair(model, recipe, data.task(name)) for name in ("id", "ood/near"))
        figures = (known.harm("top1"), known.harm("ece"), near.harm("auroc", "mcm"))
        rows.append([recipe.name, *(f"{100 * figure.candidate.estimate:.2f}" for figure in figures), f"{seconds:.0f}"])
    headers = ["recipe", "top-1 %", "ECE %", "AUROC %", "seconds to prepare (0 from the cache)"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
