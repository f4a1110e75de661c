"""The pictures of a report: one forest plot and one set of reliability diagrams per model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reliability.claims.records import CaseResult


@dataclass(frozen=True)
class Picture:
    """A written figure.

    Attributes:
        file: Name inside the figures folder.
        title, caption: Plain text, not escaped.
    """

    file: str
    title: str
    caption: str


def write_figures(folder: Path, results: Sequence[CaseResult]) -> list[Picture]:
    """Write the figures that the results have data for; matplotlib is loaded only if there are any."""
    pictures = []
    for number, model in enumerate(dict.fromkeys(result.model for result in results), start=1):
        own = [result for result in results if result.model == model]
        pictures += _of_model(folder, model, f"{number}-{_slug(model)}", own)
    return pictures


def _of_model(folder: Path, model: str, slug: str, results: Sequence[CaseResult]) -> list[Picture]:
    from reliability.report import diagram, forest

    pictures = []
    if harms := forest.drawable(results):
        telling = forest.most_telling(harms)
        rows, all_rows = (sum(map(len, panels.values())) for panels in (telling, harms))
        cut = f" The {rows} most telling of {all_rows} cases; report.html has all." if rows < all_rows else ""
        picture = Picture(f"forest-{slug}.png", f"Harms of {model}", forest.CAPTION + cut)
        forest.draw(folder / picture.file, telling)
        pictures.append(picture)
    if diagrams := diagram.drawable(results):
        shown = diagrams[: diagram.MOST_PANELS]
        cut = f" The {len(shown)} of {len(diagrams)} with the largest harm." if len(shown) < len(diagrams) else ""
        picture = Picture(f"reliability-{slug}.png", f"Reliability diagrams of {model}", diagram.CAPTION + cut)
        diagram.draw(folder / picture.file, shown)
        pictures.append(picture)
    return pictures


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60] or "model"
