"""Class names and prompt templates: reading, checking and filling them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from reliability.data.counter_rng import choice, keys_for_ids
from reliability.data.prompt_file import PromptFile
from reliability.data.published_prompts import PLAIN_TEMPLATES
from reliability.errors import DataError
from reliability.types import I64, PromptSet, Strings

CLASS_NAMES_FILE = "classnames.txt"
TEMPLATES_FILE = "zeroshot_classification_templates.txt"


def _lines(path: Path) -> list[str]:
    """Lines without trailing blank ones; inner blank lines stay, to be complained about."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            where=str(path),
            what="the file cannot be read as UTF-8 text",
            got=f"{type(error).__name__}: {error}",
            next="write one entry per line",
        ) from error


def read_class_names(path: Path) -> tuple[str, ...]:
    """One class name per line, in label order.

    Raises:
        DataError: No name, an empty one, or one that stands twice.
    """
    names = _lines(path)
    if not names:
        raise DataError(
            where=str(path), what="no class name in the file", next="write one name per line, label 0 first"
        )
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                where=f"{path}, line {number}", what="empty class name", next="name the class of this label"
            )
        if name in first:
            raise DataError(
                where=f"{path}, line {number}",
                what=f"duplicate class name, already on line {first[name]}",
                got=repr(name),
                next="give each label a name of its own",
            )
        first[name] = number
    return tuple(names)


def read_templates(path: Path) -> tuple[str, ...]:
    """Prompt templates, one per line with ``{c}`` for the class; blank lines are skipped.

    Raises:
        DataError: No template, or one without ``{c}``.
    """
    templates = tuple(filter(None, _lines(path)))
    if not templates:
        raise DataError(
            where=str(path), what="no prompt template in the file", next="write lines like: a photo of a {c}."
        )
    for template in templates:
        if "{c}" not in template:
            raise DataError(
                where=str(path),
                what="a template without {c}, the place of the class name",
                got=repr(template),
                next="write lines like: a photo of a {c}.",
            )
    return templates


def find_prompts(
    folders: Sequence[Path],
    own: PromptFile | None = None,
    names: tuple[str, ...] = (),
    templates: tuple[str, ...] = PLAIN_TEMPLATES,
) -> PromptSet:
    """Class names and templates, each from the first folder that has the file.

    Args:
        folders: Where to look for ``classnames.txt`` and ``zeroshot_classification_templates.txt``.
        own: The user's, which serve where there is no file.
        names: Class names to use where neither has any.
        templates: Templates to use where neither has any; with none, lacking them is an error.

    Raises:
        DataError: There are no class names or no templates, or a file cannot be used.
    """
    given = own or PromptFile("")
    return PromptSet(
        _read(CLASS_NAMES_FILE, read_class_names, folders, given.classes or names),
        _read(TEMPLATES_FILE, read_templates, folders, given.templates or templates),
    )


def _read(
    name: str, read: Callable[[Path], tuple[str, ...]], folders: Sequence[Path], given: tuple[str, ...]
) -> tuple[str, ...]:
    """The first such file, or what is given instead."""
    for folder in folders:
        if (folder / name).is_file():
            return read(folder / name)
    if not given:
        looked = ", ".join(str(folder / name) for folder in folders)
        raise DataError(
            where=str(folders[0]), what=f"no {name}", got=f"looked for {looked}",
            next="add the file, one entry per line, or use --prompts FILE",
        )  # fmt: skip
    return given


def captions_from_prompts(prompts: PromptSet, labels: I64, ids: Strings, draw: int) -> list[str]:
    """One caption per picture: a drawn template, filled with its class name."""
    which = choice(keys_for_ids("caption-template", draw, ids), "template", len(prompts.templates))
    return [prompts.texts(int(label))[template] for label, template in zip(labels, which, strict=True)]
