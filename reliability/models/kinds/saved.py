"""``saved:DIR``: a candidate that ``reliability quantize`` wrote.

Building it takes the reference and the quantizers, so the evaluation loads it; here is what a
name and a cache key need.
"""

from __future__ import annotations

import json
from pathlib import Path

from reliability.errors import ModelError
from reliability.models.record import BOTH, Asked, ModelSpec


def parse(asked: Asked) -> ModelSpec:
    """Read which towers it changed, and what it is called."""
    folder = asked.folder()
    files = (folder / "candidate.json", folder / "candidate.safetensors")
    try:
        record = json.loads(files[0].read_text())
        name, changes = str(record["recipe"]["name"]), list(record["changes"])
        missing = not files[1].is_file()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(asked, files[0], f"{type(error).__name__}: {error}") from error
    if missing:
        raise _unreadable(asked, files[1], "no such file")
    towers = tuple(tower for tower in BOTH if tower in changes)
    return ModelSpec("saved", name, asked.rest, towers=towers, files=files)


def folder_of(spec: ModelSpec) -> Path:
    """Where it lies."""
    return spec.files[0].parent


def _unreadable(asked: Asked, path: Path, got: str) -> ModelError:
    return ModelError(
        where=asked.where, what=f"{path.name} of a saved candidate cannot be read", got=got,
        next="name a folder that reliability quantize --out wrote",
    )  # fmt: skip
