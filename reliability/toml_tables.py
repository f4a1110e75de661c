"""TOML files that people write, read key by key and strictly: what is not understood is refused."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.errors import ReliabilityError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Entry:
    """A TOML table and the words that locate it.

    Attributes:
        where: File and entry, such as ``"embedded.toml, bound 7 (line 41)"``.
        table: Its keys and values.
        kind: The class of the errors that its methods raise.
    """

    where: str
    table: Mapping[str, Any]
    kind: type[ReliabilityError] = UsageError

    @classmethod
    def of(cls, value: object, where: str, keys: Collection[str], kind: type[ReliabilityError] = UsageError) -> Entry:
        """Check that ``value`` is a table that holds none but the known ``keys``.

        Raises:
            ReliabilityError: Of that kind: it is something else, or has an unknown key.
        """
        if not isinstance(value, dict):
            raise kind(where=where, what="this must be a table", got=_shown(value), next="write key = value")
        entry = cls(where, value, kind)
        for key in value:
            if key not in keys:
                raise entry.error("unknown key", key, f"{_closest(key, keys)}known keys: {', '.join(sorted(keys))}")
        return entry

    def below(self, value: object, where: str, keys: Collection[str]) -> Entry:
        """A table inside this one, checked as by :meth:`of`."""
        return Entry.of(value, where, keys, self.kind)

    def __contains__(self, key: str) -> bool:
        return key in self.table

    def error(self, what: str, got: object, next: str) -> ReliabilityError:
        """The error for this entry, to be raised by the caller."""
        return self.kind(where=self.where, what=what, got=got, next=next)

    def required(self, key: str, next: str = "") -> Any:
        """The value of a key that must be there.

        Raises:
            ReliabilityError: It is not.
        """
        if key not in self.table:
            raise self.error(f"key {key!r} is missing", ", ".join(self.table) or "no keys", next or f"add {key} = ...")
        return self.table[key]

    def text(self, key: str) -> str:
        """A string with something in it."""
        value = self.required(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} must be a non-empty string", _shown(value), f'write {key} = "..."')
        return value

    def choice(self, key: str, options: Collection[str]) -> str:
        """A string that is one of ``options``."""
        value = self.text(key)
        if value not in options:
            known = ", ".join(sorted(options))
            raise self.error(f"unknown {key}", value, f"{_closest(value, options)}known: {known}")
        return value

    def flag(self, key: str) -> bool:
        """``true`` or ``false``."""
        value = self.required(key)
        if not isinstance(value, bool):
            raise self.error(f"{key!r} must be true or false", _shown(value), f"write {key} = true or {key} = false")
        return value

    def number(self, key: str) -> float:
        """A finite number; ``true`` is not one."""
        value = self.required(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.error(f"{key!r} must be a finite number", _shown(value), f"write {key} = 0.01, say")
        return float(value)

    def count(self, key: str) -> int:
        """A whole number above zero."""
        value = self.required(key)
        if not _is_whole(value) or value < 1:
            raise self.error(f"{key!r} must be a whole number above 0", _shown(value), f"write {key} = 1000, say")
        return int(value)

    def whole_numbers(self, key: str) -> tuple[int, ...]:
        """A list of different whole numbers from 0, at least one."""
        value = self.required(key)
        fits = isinstance(value, list) and value and all(_is_whole(i) and i >= 0 for i in value)
        if not fits or len(set(value)) < len(value):
            rule = "must be a list of different whole numbers from 0"
            raise self.error(f"{key!r} {rule}", _shown(value), f"write {key} = [0, 1], say")
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A string or a list of strings, as a tuple: at least one, none empty."""
        value = self.required(key)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not items or not all(isinstance(i, str) and i.strip() for i in items):
            raise self.error(
                f"{key!r} must be a non-empty string or a list of them", _shown(value), f'write {key} = "..."'
            )
        return tuple(items)


def read_toml(path: Path, kind: type[ReliabilityError] = UsageError) -> tuple[dict[str, Any], bytes]:
    """The table of a TOML file, and the file's bytes.

    Raises:
        ReliabilityError: Of that kind: the file cannot be read, or is not TOML in UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        what, got = "the file cannot be read", error.strerror or str(error)
        raise kind(where=str(path), what=what, got=got, next="give the path of a .toml file") from error
    try:
        return parse_toml(content.decode("utf-8")), content
    except (ValueError, RecursionError) as error:
        what, fix = "not a TOML file in UTF-8", "correct the line that is named"
        raise kind(where=str(path), what=what, got=str(error), next=fix) from error


def parse_toml(text: str) -> dict[str, Any]:
    """The table that a text is.

    Raises:
        ValueError, RecursionError: It is not TOML.
    """
    return tomllib.loads(text)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _closest(word: str, options: Collection[str]) -> str:
    matches = difflib.get_close_matches(word, sorted(options), n=3)
    return f"did you mean {' or '.join(matches)}? " if matches else ""


def _shown(value: object) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return text if len(text) <= 120 else f"{text[:110]} ..."
