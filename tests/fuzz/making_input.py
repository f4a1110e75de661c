"""Wrong input, near enough to right input that it gets past the first check."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from reliability.errors import ReliabilityError

LONG = bool(os.environ.get("RELIABILITY_LONG"))

tried = settings(
    max_examples=7000 if LONG else 60, derandomize=not LONG, deadline=3000, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)  # fmt: skip
"""How many inputs a test tries, and that each ends within three seconds."""


def survives(work: Callable[[], object]) -> None:
    """The work ends, in a result or in an error of our own; anything else reaches the test."""
    with suppress(ReliabilityError):
        work()


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes changed, cut out, doubled or put in."""
    place = st.integers(0, len(whole))
    edit = st.tuples(st.sampled_from(["set", "cut", "double", "put"]), place, place, st.binary(min_size=1, max_size=8))
    return st.lists(edit, min_size=1, max_size=5).map(lambda edits: _edited(whole, edits))


def _edited(whole: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    for kind, first, last, piece in edits:
        first, last = sorted((first, last))
        if kind == "set":
            whole = whole[:first] + piece + whole[first + len(piece) :]
        elif kind == "cut":
            whole = whole[:first] + whole[last:]
        elif kind == "double":
            whole = whole[:last] + whole[first:]
        else:
            whole = whole[:first] + piece + whole[first:]
    return whole[: 1 << 20]


_odd_text = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "*",
        "[",
        "../..",
        "/",
        "\x00",
        "\x1b[2J",
        "<b>",
        "`|`",
        "'; DROP TABLE runs; --",
        "{c}",
        "nan",
        "1e999",
        "-1",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | _odd_text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_odd_text, inner, max_size=4), max_leaves=12
)


def tables(keys: list[str], likely: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables with some of the keys, mostly with values that fit."""
    entries = {key: st.one_of(likely[key], likely[key], values) if key in likely else values for key in keys}
    return st.fixed_dictionaries({}, optional=entries).flatmap(
        lambda table: st.dictionaries(_odd_text, values, max_size=1).map(lambda extra: table | extra)
    )


def toml(table: dict[str, Any]) -> str:
    """A table as TOML; what TOML has no form for is left out."""
    return "\n".join(f"{_quoted(key)} = {_toml(value)}" for key, value in table.items() if value is not None)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value if item is not None) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")


def tar_of(members: list[tuple[str, bytes, bytes]]) -> bytes:
    """A tar of (name, content, type)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
