"""Recipes of a user's own: names of the grammar with other settings, from a TOML file."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from reliability.errors import UsageError
from reliability.quant.grammar import GrammarError, take_apart
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe
from reliability.quant.schemes import LOSS_TERMS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


@dataclass(frozen=True)
class _Rule:
    """What the value of a key must be, in words and as a check, and which recipes have such a setting: None for all."""

    words: str
    holds: Callable[[Any], bool]
    belongs: Callable[[Recipe], bool] | None = None


def load_recipes(path: Path | str) -> dict[str, Recipe]:
    """Read recipes that differ from a name of the grammar in some settings.

    Args:
        path: A TOML file in UTF-8 with a table ``[[recipe]]`` for each: ``name``,
            ``base`` (a name of the grammar), and any of ``range_images``, ``seed``,
            ``towers``, ``alpha``, ``percentile`` and a table ``qat`` with fields of
            :class:`QatSettings`.

    Returns:
        Name to recipe, in the order of the file.

    Raises:
        UsageError: The file cannot be read, a key is unknown or missing, a value does
            not fit its key or the base, or a name is taken.

    Conventions:
        A name is lower-case letters, digits, dots, dashes, underscores and plus signs,
        and none that the grammar gives a meaning of its own. Two recipes with equal
        settings share what is computed for them, whatever their names.
    """
    top = _Table(str(path), _parsed(Path(path)), ("recipe",))
    tables = top.value("recipe")
    if not isinstance(tables, list) or not tables:
        top.refuse("there is no list of recipes", tables, "write [[recipe]] with name = ... and base = ...")
    recipes: dict[str, Recipe] = {}
    for number, entries in enumerate(tables, start=1):
        table = _Table(f"{path}, recipe {number}", entries, ("name", "base", *_RULES, "qat"))
        recipe = _read(table)
        if recipe.name in recipes:
            table.refuse("the name is taken by an earlier recipe", recipe.name, "choose another name")
        recipes[recipe.name] = recipe
    return recipes


class _Table:
    """A TOML table read key by key.

    Raises:
        UsageError: It is no table, or has an unknown key.
    """

    def __init__(self, where: str, entries: object, keys: Collection[str]) -> None:
        self.where = where
        if not isinstance(entries, dict):
            self.refuse("this must be a table", entries, "write key = value")
        self.entries: dict[str, Any] = entries
        for key in entries:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, n=3)
                hint = f"did you mean {' or '.join(close)}? " if close else ""
                self.refuse("unknown key", key, f"{hint}known keys: {', '.join(keys)}")

    def refuse(self, what: str, got: object, next: str) -> NoReturn:
        raise UsageError(where=self.where, what=what, got=got, next=next)

    def value(self, key: str) -> Any:
        if key not in self.entries:
            self.refuse(f"key {key!r} is missing", ", ".join(self.entries) or "no keys", f"add {key} = ...")
        return self.entries[key]

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            self.refuse(f"{key!r} must be a string", repr(value), f'write {key} = "..."')
        return value

    def checked(self, rules: Mapping[str, _Rule], base: Recipe) -> dict[str, Any]:
        """The values of the keys that rules speak of."""
        found = {key: value for key, value in self.entries.items() if key in rules}
        for key, value in found.items():
            rule = rules[key]
            if rule.belongs and not rule.belongs(base):
                self.refuse(f"{base.name} has no {key}", repr(value), f"leave out {key}, or choose another base")
            if not rule.holds(value):
                self.refuse(f"{key!r} must be {rule.words}", repr(value), f"correct {key}")
        return found


def _read(table: _Table) -> Recipe:
    name, base = _name(table), parse_recipe(table.text("base"))
    if base.is_float:
        table.refuse("fp32 is the reference, which has no settings", base.name, "give the name of a quantization")
    changes = table.checked(_RULES, base)
    if "alpha" in changes:
        changes["alpha"] = float(changes["alpha"])
    if "qat" in table.entries:
        changes["qat"] = _qat(table, base)
    return replace(base, name=name, **changes)


def _name(table: _Table) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        table.refuse("a name is lower-case letters, digits and . _ + -", name, 'write name = "w8a8-mine", say')
    if _is_grammatical(name):
        table.refuse("the grammar gives this name a meaning of its own", name, "choose another name")
    return name


def _is_grammatical(name: str) -> bool:
    try:
        take_apart(name)
    except GrammarError:
        return name == "fp32"
    return True


def _qat(table: _Table, base: Recipe) -> QatSettings:
    if base.qat is None:
        table.refuse(f"{base.name} trains nothing", "[recipe.qat]", "leave out qat, or choose another base")
    settings = asdict(base.qat)
    given = _Table(f"{table.where}, [recipe.qat]", table.entries["qat"], tuple(settings))
    rules = {key: _QAT_RULES.get(key) or _like(default) for key, default in settings.items()}
    return replace(base.qat, **given.checked(rules, base))


def _like(default: object) -> _Rule:
    """A value as a setting's default is one."""
    if isinstance(default, int):
        return _Rule("a whole number above 0", lambda value: _is_whole(value) and value > 0)
    return _Rule("a finite number above 0", lambda value: _is_number(value) and value > 0)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            where=str(path), what="the recipe file cannot be read", got=error.strerror, next="give the path of a file"
        ) from error
    except ValueError as error:
        raise UsageError(
            where=str(path), what="not a TOML file in UTF-8", got=str(error), next="correct the line that is named"
        ) from error


def _is_loss(value: object) -> bool:
    terms = value.split("+") if isinstance(value, str) else []
    return bool(terms) and len(set(terms)) == len(terms) and all(term in LOSS_TERMS for term in terms)


_QAT_RULES: dict[str, _Rule] = {
    "loss": _Rule(f"different ones of {', '.join(LOSS_TERMS)}, joined by +", _is_loss),
    "held_out": _Rule("a number from 0 to 0.5", lambda value: _is_number(value) and 0 <= value <= 0.5),
}

_RULES: dict[str, _Rule] = {
    "range_images": _Rule("a whole number above 0", lambda value: _is_whole(value) and value > 0),
    "seed": _Rule("a whole number from 0", lambda value: _is_whole(value) and value >= 0),
    "towers": _Rule(
        "one of vision, text, both",
        lambda value: value in ("vision", "text", "both"),
        lambda recipe: recipe.towers != "none",
    ),
    "alpha": _Rule(
        "a number from 0 to 1",
        lambda value: _is_number(value) and 0 <= value <= 1,
        lambda recipe: recipe.alpha is not None,
    ),
    "percentile": _Rule(
        "a number above 50 and below 100",
        lambda value: _is_number(value) and 50 < value < 100,
        lambda recipe: recipe.range_setting == "percentile",
    ),
}
