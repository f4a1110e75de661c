"""The page on metrics names all of them, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from reliability.metrics.registry import all_metrics
from reliability.metrics.scores import SCORES

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
AFTER = "_after_temperature"


def rows() -> set[str]:
    """Names in the first cell of each table row; ``recall_at_1/5/10`` stands for three."""
    cells = re.findall(r"^\| `([\w<>/]+)`", PAGE, re.MULTILINE)
    names = {name for cell in cells for name in _spelled_out(cell)}
    return names - {"<m>" + AFTER}


def _spelled_out(cell: str) -> list[str]:
    stem, *others = cell.split("/")
    prefix = re.sub(r"\d+$", "", stem)
    return [stem, *(prefix + other for other in others)]


def test_every_metric_and_score_has_its_row_and_every_row_its_metric_or_score() -> None:
    plain = {metric.name for metric in all_metrics() if not metric.name.endswith(AFTER)}
    assert rows() == plain | set(SCORES)


def test_every_metric_after_temperature_scaling_is_named() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("| `<m>" + AFTER))
    scaled = {metric.name.removesuffix(AFTER) for metric in all_metrics() if metric.name.endswith(AFTER)}
    assert set(re.findall(r"`(\w+)`", line.split("|")[1])) == scaled
