"""The small file beside exported graphs: what no graph says, and how graphs are called. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reliability.errors import ModelError

SIDECAR = "clip.json"
SCHEMA = 1
GRAPHS = {"vision": "visual.onnx", "text": "text.onnx"}
"""Tower to the name that an export gives its graph."""


@dataclass(frozen=True)
class Sidecar:
    """What stands in ``clip.json``.

    Attributes:
        logit_scale: What cosines are multiplied by, 100 for many CLIPs; not its logarithm.
        made: How the files came about, for a reader.
    """

    logit_scale: float
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"schema": SCHEMA, "logit_scale": self.logit_scale} | dict(self.made)


def read_sidecar(folder: Path) -> Sidecar | None:
    """The sidecar of a folder, None where there is none.

    Raises:
        ModelError: It is damaged, or its logit scale is no positive number.
    """
    path = folder / SIDECAR
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        scale = float(found["logit_scale"])
        if found.get("schema") != SCHEMA or not 0 < scale < float("inf"):
            raise ValueError(f"schema {found.get('schema')}, logit_scale {scale}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            where=str(path), what="the sidecar cannot be used", got=f"{type(error).__name__}: {error}",
            next='write {"schema": 1, "logit_scale": 100.0}, with the scale that multiplies cosines',
        ) from error  # fmt: skip
    made = {key: value for key, value in found.items() if key not in ("schema", "logit_scale")}
    return Sidecar(scale, made)
