"""Read a threshold file strictly: what is not understood is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from reliability.claims import keys
from reliability.claims.bounds import Bound, Floor, Group, Proposed, Scope, ThresholdFile
from reliability.errors import ThresholdError
from reliability.toml_tables import Entry, read_toml
from reliability.types import Relation

Known = Mapping[str, Collection[str]]


def load_thresholds(path: Path | str, known: Known | None = None) -> ThresholdFile:
    """Read and check a threshold file.

    Args:
        path: A TOML file of schema 1, in UTF-8.
        known: Names that exist, under ``"claim"``, ``"metric"`` and ``"score"``; a field
            left out here is not checked against a list.

    Raises:
        ThresholdError: The file is missing, is not TOML, has an unknown or missing key,
            a value of the wrong type or out of range, or no bound at all. The same holds
            for each file it includes.

    Conventions:
        A margin may be 0, which FP32 against itself still meets. Only ``at_least`` and
        ``at_most`` take a negative one, for signed metrics. A bound that lists several
        metrics or scores is one bound for each. Bounds, floors and groups of
        included files come first; included files include nothing and need no recipes.
    """
    own, top = _read_one(str(path), known or {})
    names = top.texts("include") if "include" in top else ()
    included = [_included(str(Path(path).parent / name), known or {}) for name in names]
    run = top.below(top.required("run", 'add [run] with recipes = ["..."]'), f"{path}, [run]", keys.RUN)
    files = [*included, own]
    found = ThresholdFile(
        str(path),
        hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest() if included else own.digest,
        _recipes(run),
        tuple(bound for file in files for bound in file.bounds),
        tuple(floor for file in files for floor in file.floors),
        tuple(group for file in files for group in file.groups),
        tuple(proposed for file in files for proposed in file.proposed),
    )
    _check_groups(found.bounds, found.groups)
    if not found.bounds:
        raise top.error("no [[bound]] at all, so nothing would be judged", "0 bounds", "add a [[bound]]")
    return found


def _included(path: str, known: Known) -> ThresholdFile:
    found, top = _read_one(path, known)
    if "include" in top:
        raise top.error("an included file includes no other", top.table["include"], "include both in the first file")
    return found


def _read_one(path: str, known: Known) -> tuple[ThresholdFile, Entry]:
    """Entries of one file, and its top table."""
    parsed, content = read_toml(Path(path), ThresholdError)
    top = Entry.of(parsed, path, keys.FILE, ThresholdError)
    _check_schema(top)
    defaults = top.below(top.table.get("defaults", {}), f"{path}, [defaults]", keys.DEFAULTS)
    _check_defaults(defaults)
    bounds = tuple(
        bound
        for index, line, where, value in _numbered(top, "bound", content)
        for bound in _bounds(top.below(value, where, keys.BOUND), defaults, known, path, index, line)
    )
    floors = tuple(
        _floor(top.below(value, where, keys.FLOOR), defaults, known, path, index, line)
        for index, line, where, value in _numbered(top, "floor", content)
    )
    groups = tuple(
        _group(top.below(value, where, keys.GROUP), path, index, line)
        for index, line, where, value in _numbered(top, "group", content)
    )
    proposed = (_proposed(top),) if "proposed" in top else ()
    return ThresholdFile(path, hashlib.sha256(content).hexdigest(), (), bounds, floors, groups, proposed), top


def _check_schema(top: Entry) -> None:
    schema = top.required("schema", f"begin the file with schema = {keys.SCHEMA}")
    if type(schema) is not int or schema != keys.SCHEMA:
        raise top.error("unsupported schema", schema, f"this version reads schema = {keys.SCHEMA}")


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


def _proposed(top: Entry) -> Proposed:
    entry = top.below(top.table["proposed"], f"{top.where}, [proposed]", keys.PROPOSED)
    return Proposed(
        data=entry.text("data"),
        references=entry.texts("references"),
        recipes=entry.texts("recipes"),
        draws=entry.count("draws"),
        factor=entry.number("factor"),
        limit=entry.count("limit") if "limit" in entry else None,
        file=top.where,
    )


def _recipes(run: Entry) -> tuple[str, ...]:
    recipes = run.texts("recipes")
    twice = sorted({name for name in recipes if recipes.count(name) > 1})
    if twice:
        raise run.error("a recipe is listed twice", ", ".join(twice), "remove one of them")
    return recipes


def _bounds(entry: Entry, defaults: Entry, known: Known, file: str, index: int, line: int | None) -> Iterator[Bound]:
    """One bound for each metric and score that the entry lists."""
    relation: Relation = entry.choice("relation", keys.RELATIONS)  # type: ignore[assignment]
    first = Bound(
        claim=_name(entry, "claim", known),
        applies=_scope(entry.below(entry.table.get("applies", {}), f"{entry.where}, applies", keys.SCOPE)),
        metric="",
        score="",
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
    scores = _names(entry, "score", known) if "score" in entry else ("",)
    for metric, score in product(_names(entry, "metric", known), scores):
        yield replace(first, metric=metric, score=score)


def _names(entry: Entry, key: str, known: Known) -> tuple[str, ...]:
    """Names that exist, as one string or a list, none of them twice."""
    names = entry.texts(key)
    if len(set(names)) < len(names):
        raise entry.error(f"a {key} is listed twice", ", ".join(names), "remove one of them")
    for name in names:
        replace(entry, table={key: name}).choice(key, known.get(key, names))
    return names


def _group(entry: Entry, file: str, index: int, line: int | None) -> Group:
    name = entry.text("name")
    if not keys.GROUP_NAME.fullmatch(name):
        raise entry.error("a group's name is a word", name, "use letters, digits and _, such as noise_spread")
    clean = entry.text("clean") if "clean" in entry else ""
    return Group(name, entry.texts("task"), clean, file, index, line)


def _check_groups(bounds: Collection[Bound], groups: Collection[Group]) -> None:
    """A name stands for one group, and bounds name groups that are there."""
    names = [group.name for group in groups]
    for group in groups:
        if names.count(group.name) > 1:
            raise ThresholdError(
                where=group.place, what="two groups have one name", got=group.name, next="rename or remove one"
            )
    for bound in bounds:
        idle = [p for p in bound.applies.group if not any(fnmatchcase(name, p) for name in names)]
        if idle:
            raise ThresholdError(
                where=bound.place, what="no [[group]] of this file has such a name", got=", ".join(idle),
                next=f"groups: {', '.join(names) or 'none'}",
            )  # fmt: skip


def _floor(entry: Entry, defaults: Entry, known: Known, file: str, index: int, line: int | None) -> Floor:
    sides = [side for side in keys.ON_CANDIDATE if side in entry]
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
    if "group" in entry and "task" in entry:
        raise entry.error("an entry applies to tasks or to groups of them", "task and group", "write two entries")
    return Scope(**{key: entry.texts(key) for key in keys.SCOPE if key in entry})


def _margin(entry: Entry, relation: Relation) -> float:
    if relation in keys.WITHOUT_MARGIN:
        if "margin" in entry:
            raise entry.error(f"relation {relation!r} takes no margin", entry.table["margin"], "remove the margin")
        return 0.0
    margin = entry.number("margin")
    if margin < 0 and relation not in keys.ON_CANDIDATE:
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
