"""Change single values of a TOML file where they stand, and leave all else as somebody wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reliability.errors import ThresholdError
from reliability.toml_tables import parse_toml

MARK = "# proposal: "
"""Comments that begin so were written by an earlier change, and give way to the next one's."""


@dataclass(frozen=True)
class _Statement:
    """Some lines that belong together: blank or comment, a header, or a key with its value.

    Attributes:
        start, end: Rows, the second exclusive.
        parsed: As a document of its own; empty for blank lines and comments.
        header: Whether it begins a table.
    """

    start: int
    end: int
    parsed: Mapping[str, Any]
    header: bool = False


@dataclass
class TomlText:
    """The text of a file of which values can be replaced and tables removed.

    Attributes:
        text: As it was.
        where: For messages.
    """

    text: str
    where: str
    _rows: list[str] = field(init=False)
    _statements: list[_Statement] = field(init=False)
    _changes: dict[int, tuple[int, list[str]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._rows = rows_of(self.text)
        self._statements = _statements(self._rows, self.where)

    def replace(self, table: str, index: int, key: str, value: str | None, comments: Sequence[str] = ()) -> None:
        """Give a key another value, in TOML, with comments above it.

        Args:
            table: Name of a table ``[table]`` or of a list of tables ``[[table]]``.
            index: Which of the list, from 1; 1 for a table.
            key: One that is there.
            value: A valid value in TOML; None leaves it as it is.
            comments: One line each, shown after ``MARK``; those of an earlier change are dropped.

        Raises:
            ThresholdError: The table or key does not stand in the file as lines of its own.
        """
        inside = self._inside(table, index)
        found = next((one for one in inside if not one.header and key in one.parsed), None)
        if found is None:
            raise self._error(f"no line {key} = ... in {table} {index}")
        for old in inside:
            if not old.parsed and self._rows[old.start].lstrip().startswith(MARK):
                self._changes[old.start] = (old.end, [])
        first = self._rows[found.start]
        indent = first[: len(first) - len(first.lstrip())]
        end = "\r\n" if first.endswith("\r\n") else "\n"
        above = [f"{indent}{MARK}{comment}{end}" for comment in comments]
        rows = self._rows[found.start : found.end]
        if value is not None:
            rows = [f"{indent}{key} = {value}{_comment_after(''.join(rows), found.parsed)}{end}"]
        self._changes[found.start] = (found.end, [*above, *rows])

    def remove(self, table: str, index: int) -> None:
        """Take a table out, with the comments that stand right above its header."""
        inside = self._inside(table, index)
        start, end = inside[0].start, inside[-1].end
        while start and self._rows[start - 1].lstrip().startswith("#"):
            start -= 1
        while end > inside[0].end and self._rows[end - 1].lstrip().startswith("#"):
            end -= 1  # these speak of what follows
        self._changes = {at: change for at, change in self._changes.items() if not start <= at < end}
        self._changes[start] = (end, [])

    def result(self, more: str = "") -> str:
        """The text with every change made, and ``more`` at its end."""
        rows: list[str] = []
        at = 0
        for start in sorted(self._changes):
            end, lines = self._changes[start]
            rows += [*self._rows[at:start], *lines]
            at = end
        text = "".join([*rows, *self._rows[at:]])
        return text if not more else text.rstrip("\n") + f"\n\n{more}"

    def _inside(self, table: str, index: int) -> list[_Statement]:
        """The statements of a table: its header, and all up to the next one."""
        headers = [n for n, one in enumerate(self._statements) if one.header]
        own = [n for n in headers if self._statements[n].parsed in ({table: {}}, {table: [{}]})]
        if index > len(own):
            raise self._error(f"{table} {index} does not stand there under a header of its own")
        begin = own[index - 1]
        stop = next((n for n in headers if n > begin), len(self._statements))
        return self._statements[begin:stop]

    def _error(self, got: str) -> ThresholdError:
        return ThresholdError(
            where=self.where, what="the file is not written so that single values can be changed", got=got,
            next="write [[bound]] and [[floor]] on lines of their own, and below them a key = value on each line",
        )  # fmt: skip


def rows_of(text: str) -> list[str]:
    """The lines of a text with their ends, as TOML and git see them: other separators than these split nothing."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def toml_string(text: str) -> str:
    """A string as TOML writes it, in one line."""
    # JSON leaves DEL as it is, which TOML does not allow.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_list(texts: Sequence[str]) -> str:
    """A list of strings as TOML writes it, in one line."""
    return f"[{', '.join(map(toml_string, texts))}]"


def _statements(rows: Sequence[str], where: str) -> list[_Statement]:
    found: list[_Statement] = []
    at = 0
    while at < len(rows):
        begun = rows[at].strip()
        if not begun or begun.startswith("#"):
            found.append(_Statement(at, at + 1, {}))
        else:
            end, parsed = _parsed_from(rows, at, where)
            found.append(_Statement(at, end, parsed, begun.startswith("[")))
        at = found[-1].end
    return found


def _parsed_from(rows: Sequence[str], start: int, where: str) -> tuple[int, Mapping[str, Any]]:
    """The fewest rows from here that are TOML, which a string or list over several lines needs."""
    for end in range(start + 1, len(rows) + 1):
        try:
            return end, parse_toml("".join(rows[start:end]))
        except ValueError:
            continue
    raise ThresholdError(where=f"{where}, line {start + 1}", what="not TOML", got=rows[start], next="correct that line")


def _comment_after(statement: str, parsed: Mapping[str, Any]) -> str:
    """The comment that follows a value, with the space before it; empty without one."""
    for match in re.finditer("#", statement):
        try:
            if parse_toml(statement[: match.start()]) == parsed:
                return "  " + statement[match.start() :].rstrip()
        except ValueError:
            continue
    return ""
