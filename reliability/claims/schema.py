"""JSON Schema of threshold files, made of the tables that the reader checks them by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliability.claims import keys
from reliability.claims.keys import DEFAULTED, ON_CANDIDATE, RELATIONS, WITHOUT_MARGIN, Key, Table

Schema = dict[str, Any]
Names = Mapping[str, Mapping[str, str]]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
COMMITTED = Path(__file__).with_name("thresholds.schema.json")
"""The schema of what this package itself knows; ``reliability schema thresholds`` also knows what a user registered."""

_TABLES = {
    "defaults": keys.DEFAULTS, "run": keys.RUN, "proposed": keys.PROPOSED, "group": keys.GROUP, "floor": keys.FLOOR,
    "bound": keys.BOUND, "applies": keys.SCOPE,
}  # fmt: skip
_NO_BLANK = {"type": "string", "pattern": r"\S"}
_PLAIN: Mapping[str, Schema] = {
    "flag": {"type": "boolean"},
    "number": {"type": "number"},
    "count": {"type": "integer", "minimum": 1},
    "level": {"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1},
    "version": {"type": "integer", "const": keys.SCHEMA},
}


def threshold_schema(names: Names) -> Schema:
    """The schema, as plain data.

    Args:
        names: ``metric`` and ``score`` to the names that exist, with a sentence each, as
            :func:`reliability.claims.names.nameable` gives them.

    Conventions:
        Whatever it accepts and the reader refuses is beyond one file's syntax: patterns that
        meet nothing, groups that are not there, rival bounds, infinite numbers, and [run] in a
        file that no other one includes. JSON has one kind of number, so 1000.0 passes for the
        whole number that the reader wants.
    """
    known = {**names, "relation": {str(name): words for name, words in RELATIONS.items()}}
    tables = {name: _table(table) for name, table in _TABLES.items()}
    tables["applies"]["not"] = {"required": ["task", "group"]}
    tables["bound"]["allOf"] = _margin_rules()
    tables["floor"]["oneOf"] = [{"required": [side]} for side in ON_CANDIDATE]
    return {
        "$schema": DRAFT,
        "title": "Threshold file of quant-reliability",
        **_table(keys.FILE),
        "dependentRequired": {"include": ["run"]},
        "anyOf": [
            {"required": ["bound"], "properties": {"bound": {"minItems": 1}}},
            {"required": ["include"]},
            {"not": {"required": ["run"]}},
        ],
        "allOf": [_defaulted(key) for key in DEFAULTED],
        "$defs": tables | {_listed(kind): _enum(words) for kind, words in known.items()},
    }


def schema_text(names: Names) -> str:
    """The schema as JSON text."""
    return json.dumps(threshold_schema(names), indent=1, ensure_ascii=False) + "\n"


def _table(table: Table) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, key in table.items() if key.required],
        "properties": {name: {"description": key.what, **_value(name, key)} for name, key in table.items()},
    }


def _value(name: str, key: Key) -> Schema:
    if key.kind in _PLAIN:
        return dict(_PLAIN[key.kind])
    if key.kind in ("table", "scope"):
        return {"$ref": f"#/$defs/{name}"}
    if key.kind == "tables":
        return {"type": "array", "items": {"$ref": f"#/$defs/{name}"}}
    one = _text(key)
    if key.kind == "text":
        return one
    several = {"type": "array", "items": one, "minItems": 1, **({"uniqueItems": True} if key.distinct else {})}
    return {"anyOf": [one, several]}


def _text(key: Key) -> Schema:
    if key.names:
        return {"$ref": f"#/$defs/{_listed(key.names)}"}
    return {"type": "string", "pattern": f"^(?:{key.pattern})$"} if key.pattern else dict(_NO_BLANK)


def _listed(kind: str) -> str:
    return f"known_{kind}"


def _enum(words: Mapping[str, str]) -> Schema:
    """Names; editors that know taplo's extension show a sentence beside each."""
    return {"type": "string", "enum": list(words), "x-taplo": {"docs": {"enumValues": list(words.values())}}}


def _margin_rules() -> list[Schema]:
    """A margin exactly where the relation has one, and negative ones only for a candidate's own value."""
    needed = {"required": ["margin"]}
    return [
        {"if": _relation_in(WITHOUT_MARGIN), "then": {"not": needed}, "else": needed},
        {"if": _relation_in(ON_CANDIDATE), "else": {"properties": {"margin": {"minimum": 0}}}},
    ]


def _relation_in(relations: tuple[str, ...]) -> Schema:
    return {"properties": {"relation": {"enum": list(relations)}}, "required": ["relation"]}


def _defaulted(key: str) -> Schema:
    """Under [defaults], or in every table that has such a key."""
    everywhere = {table: {"items": {"required": [key]}} for table in ("bound", "floor") if key in _TABLES[table]}
    return {
        "anyOf": [
            {"required": ["defaults"], "properties": {"defaults": {"required": [key]}}},
            {"properties": everywhere},
        ]
    }
