"""Small open_clip models trained on scenes and photographs, with their weights.

Each model is three files: ``NAME.json`` (open_clip's configuration format with
``model_cfg`` and ``preprocess_cfg``, the kept ``token_ids`` and how it was
trained), ``NAME.safetensors`` (float16 weights) and ``NAME.md`` (its card).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def zoo_names() -> tuple[str, ...]:
    """Names of the models that are here with configuration and weights, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json") if path.with_suffix(".safetensors").exists()))


def zoo_config(name: str) -> dict[str, Any]:
    """The configuration of one model."""
    config: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return config


def zoo_weights(name: str) -> Path:
    """Where one model's weights lie."""
    return FOLDER / f"{name}.safetensors"
