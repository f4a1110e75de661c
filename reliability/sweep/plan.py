"""What a sweep is to measure, read from a TOML file.

::

    schema = 1
    limit = 500                                   # pictures of each source; all when left out

    [[candidates]]
    models = ["zoo:scenes-clean", "zoo:scenes-web"]
    recipes = ["w8a8-minmax", "w4a8-gptq"]
    towers = ["vision", "both"]                   # as the names say when left out
    draws = [0, 1]                                # likewise; of range setting and training

    [[questions]]
    tasks = "noise/*"
    metrics = ["top1", "ece*"]
    scores = ["mcm", "energy"]                    # for metrics about a score of each picture
    recipes = ["w4a8-*"]                          # of these candidates alone; of all when left out
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.errors import UsageError
from reliability.quant.recipe import EACH_TOWER
from reliability.toml_tables import Entry, read_toml

SCHEMA = 1
LEVEL = 0.95
_FILE_KEYS = ("schema", "limit", "level", "candidates", "questions")
_CANDIDATE_KEYS = ("data", "models", "recipes", "towers", "draws")
_QUESTION_KEYS = ("tasks", "metrics", "scores", "recipes", "limits")
_TOWERS = (*EACH_TOWER, "both")


@dataclass(frozen=True)
class CandidateGrid:
    """Models times recipes times towers times draws, on some data.

    Attributes:
        data: As ``--data`` takes it.
        models: As ``--reference`` takes them.
        recipes: Names of the grammar.
        towers: Each is put into every name; empty leaves the names as they are.
        draws: Likewise, seeds of range setting and training.
    """

    data: str
    models: tuple[str, ...]
    recipes: tuple[str, ...]
    towers: tuple[str, ...] = ()
    draws: tuple[int, ...] = ()


@dataclass(frozen=True)
class QuestionGrid:
    """Tasks times metrics times scores.

    Attributes:
        tasks, metrics: Globs; a metric is asked of the tasks whose embeddings it can be had from.
        scores: Names, for metrics that are about a score of each picture.
        recipes: Globs over the candidates' full names.
        limits: Whether the harm gets limits, which takes many times as long.
    """

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    scores: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ("*",)
    limits: bool = False


@dataclass(frozen=True)
class SweepPlan:
    """A plan file.

    Attributes:
        path: As the user gave it.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        limit: Pictures of each source, None for all.
        level: Of each one-sided limit.
    """

    path: str
    digest: str
    candidates: tuple[CandidateGrid, ...]
    questions: tuple[QuestionGrid, ...]
    limit: int | None = None
    level: float = LEVEL


def load_plan(path: Path) -> SweepPlan:
    """Read and check a plan file.

    Raises:
        UsageError: It cannot be read, is not TOML, or has an unknown or missing key or a
            value that does not fit.
    """
    parsed, content = read_toml(path)
    top = Entry.of(parsed, str(path), _FILE_KEYS)
    if top.required("schema", f"begin the file with schema = {SCHEMA}") != SCHEMA:
        raise top.error("unsupported schema", top.table["schema"], f"this version reads schema = {SCHEMA}")
    return SweepPlan(
        path=str(path),
        digest=hashlib.sha256(content).hexdigest(),
        candidates=tuple(_candidates(entry) for entry in _tables(top, "candidates", _CANDIDATE_KEYS)),
        questions=tuple(_questions(entry) for entry in _tables(top, "questions", _QUESTION_KEYS)),
        limit=top.count("limit") if "limit" in top else None,
        level=_level(top),
    )


def _tables(top: Entry, key: str, keys: tuple[str, ...]) -> list[Entry]:
    tables: Any = top.required(key, f"write [[{key}]]")
    if not isinstance(tables, list) or not tables:
        raise top.error(f"{key!r} must be a list of tables", repr(tables), f"write [[{key}]]")
    return [top.below(table, f"{top.where}, {key} {number}", keys) for number, table in enumerate(tables, start=1)]


def _candidates(entry: Entry) -> CandidateGrid:
    towers = entry.texts("towers") if "towers" in entry else ()
    for tower in towers:
        if tower not in _TOWERS:
            raise entry.error("unknown towers", tower, f"known: {', '.join(_TOWERS)}")
    return CandidateGrid(
        data=entry.text("data") if "data" in entry else "scenes",
        models=entry.texts("models"),
        recipes=entry.texts("recipes"),
        towers=towers,
        draws=entry.whole_numbers("draws") if "draws" in entry else (),
    )


def _questions(entry: Entry) -> QuestionGrid:
    return QuestionGrid(
        tasks=entry.texts("tasks"),
        metrics=entry.texts("metrics"),
        scores=entry.texts("scores") if "scores" in entry else (),
        recipes=entry.texts("recipes") if "recipes" in entry else ("*",),
        limits=entry.flag("limits") if "limits" in entry else False,
    )


def _level(top: Entry) -> float:
    level = top.number("level") if "level" in top else LEVEL
    if not 0.5 < level < 1.0:
        raise UsageError(
            where=top.where, what="'level' must lie between 0.5 and 1", got=level, next="write level = 0.95"
        )
    return level
