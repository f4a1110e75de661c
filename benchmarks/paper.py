"""What plans/paper.toml would take: tasks, bytes and GPU hours. ``python -m benchmarks.paper``.

Nothing of it is run here. Counted: runs, entries of the cache, pictures (as their publishers
state them), multiply-adds of each model on a picture and on a text (by going through it without
numbers). Assumed, and printed: the GPU, and the part of its peak that is had. ``--measure`` times
some models on one core of this machine instead, so that the count can be held against a clock.
"""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch.utils.flop_counter import FlopCounterMode

from reliability.data.benchmarks.registry import BENCHMARKS, SUITES
from reliability.data.dataset import DataSet
from reliability.data.published_prompts import imagenet_prompts
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, Recipe
from reliability.sweep.grid import Grid, Unit, expand
from reliability.sweep.plan import load_plan
from reliability.torchvision_shim import ensure_torchvision_imports
from reliability.types import Part, PromptSet, Task

PLAN = Path(__file__).parents[1] / "plans" / "paper.toml"
SUITE = "imagenet"
CORRUPTIONS, SEVERITIES = 15, 5
FIT_PICTURES = 10_000
"""Of the train split, that fitted scores see."""
GPU, PEAK = "NVIDIA A100, FP32 without TF32", 19.5e12
SHARE = 0.5
"""Of the peak that a simulated candidate is assumed to reach: its quantizers move memory and add no products."""
ROW_BYTES = 17.2
"""On disk, of the large sweep: ``python -m benchmarks.scale``."""
_ID_BYTES = 4 * 40
_FEATURE_BYTES = 4
_BACKWARD = 3
"""Passes that a training step costs: one forward, and a backward pass of twice its size."""


@dataclass(frozen=True)
class Cost:
    """One architecture.

    Attributes:
        image, text: Floating-point operations of one forward pass, two for each multiply-add.
        parameters: Of the whole model.
        width: Of an embedding.
    """

    image: float
    text: float
    parameters: int
    width: int


@lru_cache(maxsize=32)
def cost_of(architecture: str) -> Cost:
    """Go through a model that has shapes and no numbers."""
    model, size, length = _empty(architecture)
    inputs = torch.zeros(1, 3, size, size, device="meta"), torch.zeros(1, length, dtype=torch.long, device="meta")
    counted = []
    with torch.inference_mode():
        for run, batch in zip((model.encode_image, model.encode_text), inputs, strict=True):
            with FlopCounterMode(display=False) as counter:
                features = run(batch)
            counted.append(float(counter.get_total_flops()))
    vision, text = counted
    return Cost(vision, text, sum(p.numel() for p in model.parameters()), features.shape[-1])


def _empty(architecture: str, device: str = "meta") -> tuple[Any, int, int]:
    ensure_torchvision_imports()
    import open_clip

    with torch.device(device):
        model = open_clip.create_model(architecture, pretrained=None, device=device, load_weights=False)
    size = model.visual.image_size
    # What counts operations looks for the gradients of parameters, which no pass here has.
    return model.eval().requires_grad_(False), size[0] if isinstance(size, tuple) else size, model.context_length


def pictures() -> dict[str, int]:
    """Pictures of each source of the suite, as its benchmarks state them."""
    found: dict[str, int] = {}
    for name in SUITES[SUITE]:
        count = int(re.match(r"[\d,]+", BENCHMARKS[name].holds)[0].replace(",", ""))  # type: ignore[index]
        parts = CORRUPTIONS * SEVERITIES if BENCHMARKS[name].twin else 1
        found |= {name if parts == 1 else f"{name}/{part}": count for part in range(parts)}
    return found | {"train": FIT_PICTURES}


def stated_data() -> DataSet:
    """The suite's tasks as far as a plan asks about them; there is not one picture behind it."""
    prompts = imagenet_prompts()
    tasks: list[Task] = []
    for name in SUITES[SUITE]:
        for task in (text.strip() for text in BENCHMARKS[name].tasks.split(",")):
            # Corruptions as released stand in for computed ones.
            if task != "noise/*" or BENCHMARKS[name].twin:
                tasks += _tasks(task, name, prompts)
    return DataSet("suite:imagenet", {task.name: task for task in tasks}, {}, None)  # type: ignore[arg-type]


def _tasks(name: str, source: str, prompts: PromptSet) -> list[Task]:
    if name == "noise/*":
        return [
            Task(f"noise/{number // SEVERITIES}/{number % SEVERITIES + 1}", Part(f"{source}/{number}"), prompts)
            for number in range(CORRUPTIONS * SEVERITIES)
        ]
    unfamiliar, grouped = name.startswith("ood/"), name.startswith("spurious/")
    head = prompts if source not in ("waterbirds", "celeba") else PromptSet(("no", "yes"), (f"{source} {{c}}",))
    familiar = {"familiar": Part("imagenet"), "fit": Part("train")} if unfamiliar else {}
    return [Task(name, Part(source), head, group_names=("common", "counter") if grouped else (), **familiar)]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Entries:
    """What the cache will hold of one model."""

    images: frozenset[tuple[Recipe, str]]
    heads: frozenset[tuple[Recipe, PromptSet]]
    candidates: frozenset[Recipe]


def entries_of(units: Sequence[Unit], tasks: Mapping[str, Task]) -> Entries:
    """Pictures under each candidate, and texts; a tower that a recipe leaves alone is the reference's."""
    images, heads, candidates = set(), set(), set()
    for unit in units:
        task = tasks[unit.task]
        parts = [task.part, task.familiar, task.fit if unit.fits else None]
        for recipe in (FP32, unit.recipe):
            images |= {(recipe if recipe.changes("vision") else FP32, part.source) for part in parts if part}
            heads.add((recipe if recipe.changes("text") else FP32, task.prompts))
        candidates.add(unit.recipe)
    return Entries(frozenset(images), frozenset(heads), frozenset(candidates))


@dataclass(frozen=True)
class Need:
    """What one model takes."""

    model: ModelSpec
    cost: Cost
    tasks: int
    embed: float
    train: float
    feature_bytes: float
    candidate_bytes: float

    @property
    def hours(self) -> float:
        """Of the GPU."""
        return (self.embed + self.train) / (PEAK * SHARE) / 3600


def need_of(model: ModelSpec, entries: Entries, limit: int | None) -> Need:
    """Operations and bytes of a model's entries."""
    cost, stated = cost_of(model.architecture), pictures()
    seen = {source: min(count, limit or count) for source, count in stated.items()}
    shown = sum(seen[source] for _, source in entries.images)
    read = sum(len(p.class_names) * len(p.templates) for _, p in entries.heads)
    trained = [recipe for recipe in entries.candidates if recipe.qat is not None]
    steps = sum(recipe.qat.steps * recipe.qat.batch for recipe in trained if recipe.qat is not None)
    ranges = sum(recipe.range_images for recipe in entries.candidates)
    return Need(
        model, cost, len(entries.images) + len(entries.heads) + len(entries.candidates),
        shown * cost.image + read * cost.text,
        (steps * _BACKWARD + ranges) * (cost.image + cost.text),
        shown * (cost.width * _FEATURE_BYTES + 16 + _ID_BYTES) + read * cost.width * _FEATURE_BYTES / 80,
        float(len(entries.candidates) * cost.parameters * 4),
    )  # fmt: skip


def needs(grid: Grid, limit: int | None) -> list[Need]:
    """What each model of the plan takes."""
    tasks = stated_data().tasks
    models = dict.fromkeys(unit.model for unit in grid.units)
    return [need_of(m, entries_of([u for u in grid.units if u.model == m], tasks), limit) for m in models]


def table(found: Sequence[Need]) -> str:
    """One line for each model, and the sum."""
    rows = [
        (n.model.name, f"{n.cost.image / 1e9:.1f}", f"{n.cost.text / 1e9:.1f}", f"{n.tasks:,}",
         f"{n.feature_bytes / 1e9:,.0f}", f"{n.candidate_bytes / 1e9:,.0f}", f"{n.hours:,.0f}")
        for n in found
    ]  # fmt: skip
    total = [sum(getattr(n, name) for n in found) for name in ("tasks", "feature_bytes", "candidate_bytes", "hours")]
    rows.append(
        ("all", "", "", f"{total[0]:,}", f"{total[1] / 1e9:,.0f}", f"{total[2] / 1e9:,.0f}", f"{total[3]:,.0f}")
    )
    names = ["model", "GFLOP a picture", "GFLOP a text", "tasks", "features, GB", "candidates, GB", "GPU hours"]
    return tabulate(rows, headers=names, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 6))


def measured(architectures: Sequence[str], count: int = 4) -> str:
    """Seconds of a forward pass on one core, with random weights: the clock beside the count."""
    torch.set_num_threads(1)
    rows = []
    for name in architectures:
        model, size, _ = _empty(name, "cpu")
        batch = torch.randn(count, 3, size, size)
        with torch.inference_mode():
            model.encode_image(batch[:1])
            started = time.perf_counter()
            model.encode_image(batch)
        seconds = (time.perf_counter() - started) / count
        rows.append((name, f"{cost_of(name).image / 1e9:.1f}", f"{seconds * 1e3:.0f}",
                     f"{cost_of(name).image / seconds / 1e9:.0f}"))  # fmt: skip
    return tabulate(rows, headers=["model", "GFLOP a picture", "ms", "GFLOP/s on one core"], tablefmt="github")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("--limit", type=int, help="pictures of each source (default: all)")
    parser.add_argument("--row-bytes", type=float, default=ROW_BYTES, help="as python -m benchmarks.scale measured")
    parser.add_argument("--measure", nargs="*", metavar="ARCH", help="time these models on one core and stop")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # open_clip says of each model that it has no weights, as is meant here.
    if options.measure is not None:
        print(measured(options.measure or ["ViT-B-32", "ViT-B-16", "ViT-L-14"]))
        return
    grid = expand(load_plan(PLAN), opened={"suite:imagenet": stated_data()})
    print(
        f"{grid.runs:,} runs, {grid.runs * options.row_bytes / 1e6:,.0f} MB of rows; {len(grid.copies)} copies left out"
    )
    print(f"estimate for {GPU}: {PEAK / 1e12:g} TFLOP/s, of which {SHARE:.0%} are assumed\n")
    print(table(needs(grid, options.limit)))


if __name__ == "__main__":
    main()
