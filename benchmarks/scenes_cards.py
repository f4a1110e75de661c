"""Write a card for every embedded set: ``python -m benchmarks.scenes_cards [--models NAME ...] [--limit N]``.

The page, docs/scenes.md, says what each set stands for, shows some of it, and
gives the FP32 figures of the zoo's models that were trained on scenes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
import platformdirs
from tabulate import tabulate

from benchmarks.scenes_words import FOOT, HEAD, SECTIONS, Section
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.registry import DataSet, open_data
from reliability.data.scenes import gallery
from reliability.data.scenes.sample import sample
from reliability.data.scenes.source import TRAINING_SPLIT
from reliability.data.scenes.vocabulary import fine_class_names
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import Side
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model
from reliability.models.zoo import zoo_config, zoo_names
from reliability.quant.recipe import FP32
from reliability.types import Task
from training.sources import CURATED, SCRAPED

DOCS = Path(__file__).resolve().parents[1] / "docs"
STRIPS = Path("pictures/scenes")
TWO_SIDED_95 = 0.975
"""Level of each one-sided limit, so that both together hold 95 %."""

SEVERITY = 3
"""Of the noise that the page has figures of."""

Figure = tuple[str, str, str]
"""Title of a column, metric, score."""

FIGURES: dict[str, tuple[Figure, ...]] = {
    "id": (("top-1", "top1", ""), ("ECE", "ece", ""), ("signed ECE", "signed_ece", "")),
    "ood": (("AUROC, MCM", "auroc", "mcm"), ("AUROC, MSP", "auroc", "msp"), ("FPR95, MCM", "fpr95", "mcm")),
    "shift": (("top-1", "top1", ""), ("ECE", "ece", ""), ("signed ECE", "signed_ece", "")),
    "spurious": (
        ("worst group's top-1", "worst_group_accuracy", ""), ("gap of groups", "group_gap", ""),
        ("relative spurious gap", "relative_spurious_gap", ""),
    ),
    "retrieval": tuple(
        (f"{way.replace('_', ' ')}, R@{k}", f"{way}_recall_at_{k}", "")
        for way in ("image_to_text", "text_to_image") for k in (1, 5)
    ),
}  # fmt: skip
"""Role of a task to the figures on its card."""


def scene_models() -> list[str]:
    """Zoo models whose classes are those of scenes."""
    return [name for name in zoo_names() if zoo_config(name)["training"]["source"].startswith("scenes")]


@dataclass(frozen=True)
class Measured:
    """FP32 figures of some models on one data set."""

    data: DataSet
    engine: Engine
    models: Sequence[str]

    def pair(self, model: str, task: Task) -> Pair:
        """A model beside itself."""
        return self.engine.pair(parse_model(f"zoo:{model}"), FP32, task)

    def cell(self, model: str, task: Task, metric: str, score: str) -> str:
        """A figure with its 95 % interval."""
        found = self.pair(model, task).harm(metric, score, level=TWO_SIDED_95).reference
        # Adding 0 turns a rounded -0 into 0.
        estimate, lower, upper = (round(value, 3) + 0.0 for value in (found.estimate, found.lower, found.upper))
        return f"{estimate:.3f} ({lower:.3f} to {upper:.3f})"

    def table(self, task: Task) -> str:
        """One row for each model."""
        figures = FIGURES[task.role]
        rows = [[model, *(self.cell(model, task, metric, score) for _, metric, score in figures)]
                for model in self.models]  # fmt: skip
        return _table(rows, ["FP32 model", *(title for title, *_ in figures)])

    def noise_table(self) -> str:
        """Top-1 of each model under each corruption."""
        rows = [
            [name.replace("_", " "), *(self.cell(model, self.data.task(f"noise/{name}/{SEVERITY}"), "top1", "")
                                       for model in self.models)]
            for name in CORRUPTIONS
        ]  # fmt: skip
        return _table(rows, ["FP32 top-1 under", *self.models])


def _table(rows: Iterable[Sequence[str]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _size(task: Task, shown: Side) -> str:
    """How many pictures, and what they are asked about."""
    count = len(shown.part.ids)
    if task.matches:
        return f"{count:,} pictures, {len(task.prompts.class_names):,} distinct captions."
    if shown.familiar is not None:
        return f"{count:,} unfamiliar pictures against {len(shown.familiar.ids):,} familiar ones."
    return f"{count:,} pictures, {len(task.prompts.class_names)} classes."


def _rows_shown(task: Task) -> str:
    if task.group_names:
        return f" First row: {task.group_names[0]}, second: {task.group_names[1]}."
    own_familiar = task.familiar is not None and task.familiar.source != "id"
    return " First row: unfamiliar, second: familiar, clean ones before shifted ones." if own_familiar else ""


def _card(task: Task, measured: Measured) -> str:
    picture = f"![samples of {task.name}]({STRIPS / gallery.file_name(task)})"
    shown = measured.pair(measured.models[0], task).reference
    words = fill(f"{task.card} {_size(task, shown)}{_rows_shown(task)}", 120, break_on_hyphens=False)
    return f"### {task.name}\n\n{words}\n\n{picture}\n\n{measured.table(task)}\n"


def _section(section: Section, measured: Measured) -> Iterator[str]:
    yield f"## {section.title}\n\n{section.words.replace('{drawn}', _drawn())}\n"
    for name in section.tasks:
        yield _card(measured.data.task(name), measured)
    if section.noise:
        yield f"![one picture under every corruption]({STRIPS / gallery.NOISE_FILE})\n"
        yield f"{measured.noise_table()}\n"


def _drawn() -> str:
    """How often the zoo's sources show the rarest pair of colour and shape."""
    small, large = (f"{_fewest(count):,} times among {count:,} pictures" for count in (CURATED, SCRAPED))
    return f"at least {small}, and {large}"


def _fewest(count: int) -> int:
    drawn = sample(TRAINING_SPLIT, 0, np.arange(count)).fine_label
    return int(np.bincount(drawn, minlength=len(fine_class_names())).min())


def page(measured: Measured) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(part for section in SECTIONS for part in _section(section, measured)), FOOT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=scene_models(), help="zoo models, by default all of scenes")
    parser.add_argument("--limit", type=int, help="pictures of each set, for a trial")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    gallery.draw(options.out / STRIPS)
    data = open_data("scenes", limit=options.limit)
    engine = Engine(Cache(Path(platformdirs.user_cache_dir("quant-reliability"))), data)
    text = page(Measured(data, engine, options.models))
    (options.out / "scenes.md").write_text(text)


if __name__ == "__main__":
    main()
