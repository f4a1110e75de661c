"""The user's own class names and templates, in a TOML file.

::

    classes = ["cat", "dog"]                    # all names, in label order
    templates = ["a photo of a {c}.", "{c}"]    # {c} stands for the class

    [rename]                                    # or only some names
    "maillot" = "swimsuit"

Each key may be left out. What the file says replaces what a data set brings
along; everything else stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reliability.errors import DataError
from reliability.toml_tables import read_toml

_EXAMPLE = 'such as: templates = ["a photo of a {c}."]'


@dataclass(frozen=True)
class PromptFile:
    """What the file says; empty where it says nothing.

    Attributes:
        where: The file, for messages.
        classes: All class names, in label order.
        templates: With ``{c}`` for the class.
        rename: Old name, or name of a class folder, to new name.
    """

    where: str
    classes: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)


def read_prompt_file(path: Path) -> PromptFile:
    """Read and check a prompt file.

    Raises:
        DataError: It cannot be read, is not TOML, has an unknown key or nothing at all, an
            empty or duplicate class name, or a template without ``{c}``.
    """
    content, _ = read_toml(path, DataError)
    unknown = sorted(set(content) - set(_READERS))
    if unknown or not content:
        raise DataError(
            where=str(path), what="unknown key" if unknown else "the file says nothing",
            got=", ".join(unknown) or None, next=f"known: {', '.join(_READERS)}; {_EXAMPLE}",
        )  # fmt: skip
    read: dict[str, Any] = {key: _READERS[key](f"{path}, {key}", value) for key, value in content.items()}
    return PromptFile(where=str(path), **read)


def _texts(where: str, value: object) -> tuple[str, ...]:
    """A non-empty array of non-empty strings."""
    if not isinstance(value, list) or not value:
        raise DataError(where=where, what="not an array of texts", got=repr(value), next=_EXAMPLE)
    for number, text in enumerate(value, start=1):
        _require_text(f"{where}, entry {number}", text)
    return tuple(text.strip() for text in value)


def _require_text(where: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise DataError(where=where, what="not a text, or an empty one", got=repr(value), next="write a text there")


def _classes(where: str, value: object) -> tuple[str, ...]:
    names = _texts(where, value)
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            raise DataError(
                where=f"{where}, entry {number}", what=f"duplicate class name, already entry {names.index(name) + 1}",
                got=repr(name), next="give each label a name of its own",
            )  # fmt: skip
    return names


def _templates(where: str, value: object) -> tuple[str, ...]:
    templates = _texts(where, value)
    for number, template in enumerate(templates, start=1):
        if "{c}" not in template:
            raise DataError(
                where=f"{where}, entry {number}", what="a template without {c}, the place of the class name",
                got=repr(template), next="such as: a photo of a {c}.",
            )  # fmt: skip
    return templates


def _rename(where: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise DataError(where=where, what="not a table of names", got=repr(value), next='such as: "old" = "new"')
    for old, new in value.items():
        _require_text(f"{where}, {old!r}", new)
    return {old: new.strip() for old, new in value.items()}


_READERS: dict[str, Callable[[str, object], Any]] = {"classes": _classes, "templates": _templates, "rename": _rename}
