"""Read a threshold file strictly: what is not understood is refused."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from reliability.claims.bounds import EVERYTHING, Bound, Floor, Scope, ThresholdFile
from reliability.claims.entry import Entry
from reliability.errors import ThresholdError
from reliability.types import Relation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1
Known = Mapping[str, Collection[str]]

_FILE_KEYS = ("schema", "defaults", "run", "floor", "bound")
_DEFAULT_KEYS = ("level", "min_images")
_SCOPE_KEYS = ("model", "recipe", "task")
_BOUND_KEYS = ("claim", "applies", "metric", "score", "relation", "margin", "gate", "reason", *_DEFAULT_KEYS)
_FLOOR_KEYS = ("model", "task", "metric", "score", "at_least", "at_most", "reason", "min_images")
_WITHOUT_MARGIN = ("improves", "differs")
_ON_CANDIDATE = ("at_least", "at_most")


def load_thresholds(path: Path | str, known: Known | None = None) -> ThresholdFile:
    """Read and check a threshold file.

    Args:
        path: A TOML file of schema 1, in UTF-8.
        known: Names that exist, under ``"claim"``, ``"metric"`` and ``"score"``; a field
            left out here is not checked against a list.

    Raises:
        ThresholdError: The file is missing, is not TOML, has an unknown or missing key,
            a value of the wrong type or out of range, or no bound at all.

    Conventions:
        A margin may be 0, which FP32 against itself still meets. Only ``at_least`` and
        ``at_most`` take a negative one, for signed metrics.
    """
    content = _content(Path(path))
    top = Entry.of(_parsed(content, str(path)), str(path), _FILE_KEYS)
    _check_schema(top)
    defaults = Entry.of(top.table.get("defaults", {}), f"{path}, [defaults]", _DEFAULT_KEYS)
    _check_defaults(defaults)
    run = Entry.of(top.required("run", 'add [run] with recipes = ["..."]'), f"{path}, [run]", ("recipes",))
    bounds = tuple(
        _bound(Entry.of(value, where, _BOUND_KEYS), defaults, known or {}, str(path), index, line)
        for index, line, where, value in _numbered(top, "bound", content)
    )
    floors = tuple(
        _floor(Entry.of(value, where, _FLOOR_KEYS), defaults, known or {}, str(path), index, line)
        for index, line, where, value in _numbered(top, "floor", content)
    )
    if not bounds:
        raise top.error("no [[bound]] at all, so nothing would be judged", "0 bounds", "add a [[bound]]")
    digest = hashlib.sha256(content).hexdigest()
    return ThresholdFile(str(path), digest, _recipes(run), bounds, floors)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ThresholdError(
            where=str(path),
            what="the threshold file cannot be read",
            got=error.strerror or str(error),
            next="give the path of a .toml file to --thresholds",
        ) from error


def _parsed(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdError(
            where=where, what="not a TOML file in UTF-8", got=str(error), next="correct the line that is named"
        ) from error


def _check_schema(top: Entry) -> None:
    schema = top.required("schema", f"begin the file with schema = {SCHEMA}")
    if type(schema) is not int or schema != SCHEMA:
        raise top.error("unsupported schema", schema, f"this version reads schema = {SCHEMA}")


def _check_defaults(defaults: Entry) -> None:
    """A default that every entry overrides is still read by people, so it has to make sense."""
    if "level" in defaults:
        _level(defaults)
    if "min_images" in defaults:
        defaults.count("min_images")


def _numbered(top: Entry, key: str, content: bytes) -> list[tuple[int, int | None, str, object]]:
    """(index from 1, line, where, table) of each ``[[key]]``; line is None when headers cannot be told apart."""
    values = top.table.get(key, [])
    if not isinstance(values, list):
        raise top.error(f"{key!r} must be a list of tables", type(values).__name__, f"write [[{key}]], not [{key}]")
    header = re.compile(rf"^[ \t]*\[\[[ \t]*{key}[ \t]*\]\]", re.MULTILINE)
    text = content.decode("utf-8")
    lines: list[int | None] = [text.count("\n", 0, match.start()) + 1 for match in header.finditer(text)]
    if len(lines) != len(values):
        # A header inside a multi-line string, or inline tables: no line is better than a wrong one.
        lines = [None] * len(values)
    return [
        (index, line, f"{top.where}, {key} {index}" + (f" (line {line})" if line else ""), value)
        for index, (line, value) in enumerate(zip(lines, values, strict=True), start=1)
    ]


def _recipes(run: Entry) -> tuple[str, ...]:
    recipes = run.texts("recipes")
    twice = sorted({name for name in recipes if recipes.count(name) > 1})
    if twice:
        raise run.error("a recipe is listed twice", ", ".join(twice), "remove one of them")
    return recipes


def _bound(entry: Entry, defaults: Entry, known: Known, file: str, index: int, line: int | None) -> Bound:
    relation: Relation = entry.choice("relation", get_args(Relation))  # type: ignore[assignment]
    return Bound(
        claim=_name(entry, "claim", known),
        applies=_scope(Entry.of(entry.table.get("applies", {}), f"{entry.where}, applies", _SCOPE_KEYS)),
        metric=_name(entry, "metric", known),
        score=_name(entry, "score", known) if "score" in entry else "",
        relation=relation,
        margin=_margin(entry, relation),
        gate=entry.flag("gate"),
        reason=entry.text("reason"),
        level=_level(_source(entry, defaults, "level")),
        min_images=_source(entry, defaults, "min_images").count("min_images"),
        file=file,
        index=index,
        line=line,
    )


def _floor(entry: Entry, defaults: Entry, known: Known, file: str, index: int, line: int | None) -> Floor:
    sides = [side for side in _ON_CANDIDATE if side in entry]
    if len(sides) != 1:
        raise entry.error("a floor needs one of at_least and at_most", " and ".join(sides) or "neither", "give one")
    return Floor(
        model=entry.texts("model"),
        task=entry.text("task"),
        metric=_name(entry, "metric", known),
        score=_name(entry, "score", known) if "score" in entry else "",
        relation="at_least" if sides == ["at_least"] else "at_most",
        limit=entry.number(sides[0]),
        reason=entry.text("reason"),
        min_images=_source(entry, defaults, "min_images").count("min_images"),
        file=file,
        index=index,
        line=line,
    )


def _name(entry: Entry, key: str, known: Known) -> str:
    return entry.choice(key, known[key]) if key in known else entry.text(key)


def _scope(entry: Entry) -> Scope:
    return Scope(**{key: entry.texts(key) if key in entry else EVERYTHING for key in _SCOPE_KEYS})


def _margin(entry: Entry, relation: Relation) -> float:
    if relation in _WITHOUT_MARGIN:
        if "margin" in entry:
            raise entry.error(f"relation {relation!r} takes no margin", entry.table["margin"], "remove the margin")
        return 0.0
    margin = entry.number("margin")
    if margin < 0 and relation not in _ON_CANDIDATE:
        raise entry.error("a margin of harm cannot be negative", margin, "use relation 'improves' to demand a gain")
    return margin


def _level(entry: Entry) -> float:
    level = entry.number("level")
    if not 0.5 < level < 1:
        raise entry.error("'level' must lie between 0.5 and 1", level, "write level = 0.95, say")
    return level


def _source(entry: Entry, defaults: Entry, key: str) -> Entry:
    """The entry itself where it overrides a default, else the defaults."""
    if key in entry or key in defaults:
        return entry if key in entry else defaults
    raise entry.error(f"no {key!r} here nor in [defaults]", ", ".join(entry.table), f"add {key} to [defaults]")
