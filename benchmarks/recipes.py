"""Reliability of recipes on the embedded scenes.

``python -m benchmarks.recipes`` prints the table of docs/recipes.md, words by widths;
``python -m benchmarks.recipes w4a8-gptq "w4a4-*"`` prints the recipes named, and what each costs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from tabulate import tabulate

from reliability.claims.cases import choose_recipes
from reliability.data.registry import open_data
from reliability.errors import QuantizationError
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec, parse_model
from reliability.quant.recipe import parse_recipe

_PICTURES = 2000
WIDTHS = ("w8a8", "w6a8", "w4a8", "w4a4")
WORDS = (
    "minmax", "ema", "percentile", "mse", "entropy", "dynamic", "smoothquant", "smoothquant-auto", "hadamard",
    "hadamard+dynamic", "hadamard+percentile", "perchannel", "perchannel+percentile", "minmax+attention",
    "dynamic+attention", "minmax+embeddings", "repq", "repq+percentile", "gptq", "gptq+biascorr", "biascorr", "mixed",
    "raana", "hqq", "adaround", "brecq", "qdrop", "hadamard+adaround", "ste", "lsq", "hadamard+lsq", "lsqw", "lsqplus",
    "pact", "dorefa", "noise", "minmax+tunescale",
)  # fmt: skip
"""Every method, and the pairs that the page speaks of."""
WEIGHTS_ONLY = (
    "w4a16-raana",
    *(f"{w}a16_g64-{words}" for w in ("w4", "w3") for words in ("rtn", "hqq", "awq", "gptq", "awq+gptq")),
)


def figures(engine: Engine, model: ModelSpec, name: str) -> list[str]:
    """Top-1 and ECE on ``id`` and AUROC (MCM) on ``ood/near``, in percent.

    Raises:
        QuantizationError: The recipe does not fit the model.
    """
    recipe, task = parse_recipe(name), engine.data.task
    known, near = (engine.pair(model, recipe, task(where)) for where in ("id", "ood/near"))
    found = (known.harm("top1"), known.harm("ece"), near.harm("auroc", "mcm"))
    return [f"{100 * figure.candidate.estimate:.1f}" for figure in found]


def cell(engine: Engine, model: ModelSpec, name: str) -> str:
    """One cell of the page's table; ``refused`` where the model has nothing that the method could work on."""
    try:
        return " / ".join(figures(engine, model, name))
    except QuantizationError:
        return "refused"


def page_tables(engine: Engine, model: ModelSpec) -> str:
    """Words by widths, and weights alone."""
    rows = [[f"`{words}`", *(cell(engine, model, f"{width}-{words}") for width in WIDTHS)] for words in WORDS]
    alone = [[f"`{name}`", cell(engine, model, name)] for name in WEIGHTS_ONLY]
    fp32 = f"FP32: {cell(engine, model, 'fp32')}"
    tables = (_table(rows, ["words", *WIDTHS]), _table(alone, ["weights only", "top-1 / ECE / AUROC"]))
    return "\n\n".join((fp32, *tables))


def named_table(engine: Engine, model: ModelSpec, names: Sequence[str]) -> str:
    """A row for each recipe, with the processor time it took to prepare."""
    rows = []
    for recipe in choose_recipes(names, ()):
        started = time.process_time()
        if not recipe.is_float:
            engine.prepared(model, recipe)
        seconds = time.process_time() - started
        rows.append([recipe.name, *figures(engine, model, recipe.name), f"{seconds:.0f}"])
    return _table(rows, ["recipe", "top-1 %", "ECE %", "AUROC %", "seconds to prepare (0 from the cache)"])


def _table(rows: list[list[str]], headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Print one or the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names or globs (default: the page's table, an hour on one core)")
    parser.add_argument("--reference", default="zoo:scenes-clean")
    parser.add_argument("--cache-dir", type=Path, default=Path(platformdirs.user_cache_dir("quant-reliability")))
    options = parser.parse_args()
    engine = Engine(Cache(options.cache_dir), open_data("scenes", limit=_PICTURES))
    model = parse_model(options.reference)
    print(named_table(engine, model, options.recipes) if options.recipes else page_tables(engine, model))


if __name__ == "__main__":
    main()
