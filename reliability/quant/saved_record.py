"""What stands beside a saved candidate's weights: enough to know it, check it and make it again. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reliability.errors import ModelError
from reliability.quant.number_format import NumberFormat
from reliability.quant.recipe import EACH_TOWER, Recipe
from reliability.quant.schemes import QatSettings

RECORD_FILE, WEIGHTS_FILE = "candidate.json", "candidate.safetensors"
SCHEMA = 1


@dataclass(frozen=True)
class SavedRecord:
    """A saved candidate, apart from its weights.

    Attributes:
        recipe: What was applied.
        reference: Name and identity of the model it was applied to, and ``weights``, their digest.
        range_setting: Identity of the data that ranges were set on.
        coverage: How many multiply-accumulates run quantized.
        versions: Of the packages that computed it.
        code: Digest of the code that computed it.
        weights: SHA-256 of the weights file.
    """

    recipe: Recipe
    reference: Mapping[str, Any]
    range_setting: Mapping[str, Any]
    coverage: Mapping[str, Any]
    versions: Mapping[str, str]
    code: str
    weights: str = ""

    def write(self, folder: Path) -> None:
        """Write the record into a folder."""
        changes = [tower for tower in EACH_TOWER if self.recipe.changes(tower)]
        record = {"schema": SCHEMA, "changes": changes} | asdict(self)
        (folder / RECORD_FILE).write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")


def read_record(folder: Path) -> SavedRecord:
    """Read the record of a saved candidate.

    Raises:
        ModelError: There is none, or it is damaged, or of another schema.
    """
    path = folder / RECORD_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise unreadable(path, "the record of a saved candidate cannot be read", error) from error
    if not isinstance(found, dict) or found.pop("schema", None) != SCHEMA:
        raise unreadable(path, f"the record is not of schema {SCHEMA}", None)
    try:
        del found["changes"]
        return SavedRecord(**found | {"recipe": _recipe(found["recipe"])})
    except (KeyError, TypeError) as error:
        raise unreadable(path, "the record lacks something, or has something unknown", error) from error


def unreadable(path: Path, what: str, error: Exception | None) -> ModelError:
    """The error of a file that is not what ``reliability quantize`` wrote."""
    got = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}" if error else None
    return ModelError(where=str(path), what=what, got=got, next="copy it again, or run reliability quantize again")


def _recipe(fields: Mapping[str, Any]) -> Recipe:
    qat = QatSettings(**fields["qat"]) if fields["qat"] else None
    return Recipe(**{**fields, "qat": qat, "number_format": NumberFormat(**fields["number_format"])})
