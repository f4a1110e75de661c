"""A case as flat pairs of texts, for JUnit's XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reliability.claims.wording import allowed, inert

_NAMES = ("claim", "model", "recipe", "task", "metric", "score", "gate")


def properties(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a case was about and what came of it.

    Args:
        record: As of :func:`reliability.claims.records.case_record`.

    Returns:
        Names and texts; figures that an error left out are left out here too.

    Conventions:
        Figures have six significant digits, whatever their unit, so that a program can read them.
    """
    margin = allowed(record["relation"], record["margin"], _figure)
    pairs = [(name, inert(record[name])) for name in _NAMES if record[name] != ""]
    pairs += [("verdict", record["outcome"]), ("allowed", margin), ("level", _figure(record["level"]))]
    if record["error"] is not None:
        return [*pairs, ("error", inert(record["error"].partition("\n")[0]))]
    harm = record["harm"]
    return [
        *pairs,
        ("images", str(record["n"])),
        *((side, _figure(record[side]["estimate"])) for side in ("reference", "candidate")),
        ("harm", _figure(harm["estimate"])),
        ("limits", f"{_figure(harm['lower'])} to {_figure(harm['upper'])}"),
    ]


def _figure(value: float) -> str:
    return f"{value:.6g}"
