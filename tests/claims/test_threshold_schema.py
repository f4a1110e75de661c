"""The JSON Schema accepts and refuses what the reader does, key by key."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from reliability.claims import keys
from reliability.claims.names import nameable
from reliability.claims.reader import load_thresholds
from reliability.claims.schema import COMMITTED, DRAFT, schema_text, threshold_schema
from reliability.errors import ThresholdError
from reliability.toml_tables import parse_toml
from reliability.types import Relation

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "thresholds").glob("*.toml"))
STARTER = ROOT / "reliability" / "starter" / "thresholds.toml.txt"

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "defaults": {"level": 0.95, "min_images": 1000},
    "run": {"recipes": ["w8a8-minmax"]},
    "proposed": {
        "data": "scenes:seed=1", "references": "zoo:a", "recipes": ["x"], "draws": 3, "factor": 1.5, "limit": 60,
    },
    "group": [{"name": "noise", "task": ["noise/*"], "clean": "id"}],
    "floor": [
        {"model": "*", "task": "id", "metric": "auroc", "score": "mcm", "at_least": 0.5, "reason": "r",
         "min_images": 10},
    ],
    "bound": [
        {"claim": "accuracy", "applies": {"model": "*", "recipe": ["*"], "task": "id"}, "metric": ["top1", "ece"],
         "relation": "not_worse", "margin": 0.01, "gate": True, "reason": "r", "level": 0.9, "min_images": 10},
        {"claim": "noise", "applies": {"group": "noise"}, "metric": "top1", "score": "mcm",
         "relation": "at_most", "margin": -0.01, "gate": False, "reason": "r"},
        {"claim": "gain", "metric": "top1", "relation": "improves", "gate": False, "reason": "r"},
    ],
}  # fmt: skip

VALUES: tuple[Any, ...] = (3, 0, -1, 0.7, 0.5, 1.5, "", "  ", "x", True, [], ["x"], ["x", "x"], ["x", ""], ["x", 3], {})
"""Tried for every key; of whole numbers none is written as a float, which JSON cannot tell from one."""

# What a schema of one file's syntax cannot see: whether a bound's group is there, and whether another file includes it.
BEYOND = {("bound", "applies", "group"), ("group", "name"), ("group",), ("run",)}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return threshold_schema(nameable())


@pytest.fixture(scope="module")
def fits(schema: dict[str, Any]) -> Any:
    validator = jsonschema.Draft202012Validator(schema)
    return validator.is_valid


def to_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value)


def is_read(document: dict[str, Any], folder: Path) -> bool:
    path = folder / "t.toml"
    path.write_text("".join(f"{key} = {to_toml(value)}\n" for key, value in document.items()), encoding="utf-8")
    try:
        load_thresholds(path, nameable())
    except ThresholdError:
        return False
    return True


def tables(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    yield (), document
    for name, value in document.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                yield (name,), table
                if isinstance(table.get("applies"), dict):
                    yield (name, "applies"), table["applies"]


def changed(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], object, dict[str, Any]]]:
    """Every document that differs in one key: without it, or with another value; and with one key too many."""
    for number, (path, table) in enumerate(tables(document)):
        for key in [*table, "unheard_of"]:
            for value in (None, *VALUES):
                other = copy.deepcopy(document)
                table = list(tables(other))[number][1]
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value
                yield (*path, key), value, other


def test_the_document_of_these_tests_is_one(fits: Any, tmp_path: Path) -> None:
    assert is_read(DOCUMENT, tmp_path)
    assert fits(DOCUMENT)
    documented = {table: set() for table in ("defaults", "run", "proposed", "group", "floor", "bound")}
    for path, table in tables(DOCUMENT):
        if len(path) == 1:
            documented[path[0]] |= set(table)
    assert documented["bound"] == set(keys.BOUND)
    assert documented["proposed"] == set(keys.PROPOSED)
    assert documented["floor"] | {"at_most"} == set(keys.FLOOR)


def test_the_schema_refuses_just_what_the_reader_refuses(fits: Any, tmp_path: Path) -> None:
    wrong, refused, accepted = [], 0, 0
    for path, value, document in changed(DOCUMENT):
        read, valid = is_read(document, tmp_path), fits(document)
        refused, accepted = refused + (not read), accepted + read
        if read != valid and not (valid and path in BEYOND):
            wrong.append((path, value, "reader accepts" if read else "schema accepts"))
    assert not wrong
    assert refused > 600
    assert accepted > 60


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metirc": "top1"}, "'metirc' was unexpected"),
        ({"relation": "not_wrose"}, "'not_wrose' is not one of"),
        ({"metric": "top_1"}, "'top_1' is not valid under any"),
        ({"margin": "0.01"}, "'0.01' is not of type 'number'"),
        ({"gate": 1}, "1 is not of type 'boolean'"),
    ],
)
def test_a_fault_is_named_where_it_stands(schema: dict[str, Any], change: dict[str, Any], told: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["bound"][0] |= change
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
    assert any(told in error.message for error in errors), [error.message for error in errors]
    assert all(list(error.absolute_path)[:2] == ["bound", 0] for error in errors)


def test_included_files_and_those_that_only_include_are_accepted(fits: Any) -> None:
    parts = {key: DOCUMENT[key] for key in ("schema", "defaults", "floor")}
    assert fits(parts)
    assert fits({"schema": 1, "include": "a.toml", "run": DOCUMENT["run"]})
    assert not fits({"schema": 1, "include": "a.toml"})
    assert not fits({"schema": 1, "run": DOCUMENT["run"]})


@pytest.mark.parametrize("file", [*SHIPPED, STARTER], ids=lambda path: path.name)
def test_every_threshold_file_of_the_project_fits(schema: dict[str, Any], file: Path) -> None:
    jsonschema.Draft202012Validator(schema).validate(parse_toml(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_names_the_committed_schema_to_editors(file: Path) -> None:
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    directive, _, target = first.partition(" ")
    assert directive == "#:schema"
    assert (file.parent / target).resolve() == COMMITTED.resolve()


def test_the_committed_schema_is_what_the_reader_s_tables_give() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(nameable()), (
        "run: reliability schema thresholds --out reliability/claims/thresholds.schema.json"
    )


def test_the_schema_is_a_valid_one_of_its_draft_and_every_key_says_what_it_is_for(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DRAFT
    for table in (schema, *(schema["$defs"][name] for name in ("bound", "floor", "group", "applies", "run"))):
        assert all(found["description"].endswith(".") for found in table["properties"].values())


def test_editors_can_complete_metrics_scores_and_relations_with_a_sentence_each(schema: dict[str, Any]) -> None:
    for kind, least in (("metric", 30), ("score", 8), ("relation", len(get_args(Relation)))):
        listed = schema["$defs"][f"known_{kind}"]
        assert len(listed["enum"]) >= least
        assert len(listed["enum"]) == len(listed["x-taplo"]["docs"]["enumValues"])
    assert set(schema["$defs"]["known_relation"]["enum"]) == set(get_args(Relation)) == set(keys.RELATIONS)
