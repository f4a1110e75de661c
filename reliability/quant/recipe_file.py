"""Recipes of a user's own: names of the grammar with other settings, from a TOML file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reliability.quant.grammar import GrammarError, take_apart
from reliability.quant.recipe import AUTO, QatSettings, Recipe, parse_recipe
from reliability.quant.schemes import LOSS_TERMS
from reliability.toml_tables import Entry, read_toml

_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")
_GLOB = re.compile(r"[\w.*?\[\]!-]+")


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
            ``towers``, ``alpha``, ``percentile``, ``float_layers`` and a table ``qat`` with fields of
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
    top = Entry.of(read_toml(Path(path))[0], str(path), ("recipe",))
    tables = top.required("recipe")
    if not isinstance(tables, list) or not tables:
        raise top.error("there is no list of recipes", tables, "write [[recipe]] with name = ... and base = ...")
    recipes: dict[str, Recipe] = {}
    for number, entries in enumerate(tables, start=1):
        table = top.below(entries, f"{path}, recipe {number}", ("name", "base", *_RULES, "qat"))
        recipe = _read(table)
        if recipe.name in recipes:
            raise table.error("the name is taken by an earlier recipe", recipe.name, "choose another name")
        recipes[recipe.name] = recipe
    return recipes


def _checked(entry: Entry, rules: Mapping[str, _Rule], base: Recipe) -> dict[str, Any]:
    """The values of the keys that rules speak of.

    Raises:
        UsageError: A value breaks its rule, or the base has no such setting.
    """
    found = {key: value for key, value in entry.table.items() if key in rules}
    for key, value in found.items():
        rule = rules[key]
        if rule.belongs and not rule.belongs(base):
            raise entry.error(f"{base.name} has no {key}", repr(value), f"leave out {key}, or choose another base")
        if not rule.holds(value):
            raise entry.error(f"{key!r} must be {rule.words}", repr(value), f"correct {key}")
    return found


def _read(table: Entry) -> Recipe:
    name, base = _name(table), parse_recipe(table.text("base"))
    if base.is_float:
        raise table.error("fp32 is the reference, which has no settings", base.name, "give the name of a quantization")
    if base.backend:
        raise table.error(
            "a recipe is run by kernels where it is named", base.name, f"write {name}@{base.backend} there"
        )
    changes = _checked(table, _RULES, base)
    if changes.get("alpha", AUTO) != AUTO:
        changes["alpha"] = float(changes["alpha"])
    if "float_layers" in changes:
        changes["float_layers"] = " ".join(sorted(changes["float_layers"]))
    if "qat" in table.table:
        changes["qat"] = _qat(table, base)
    return replace(base, name=name, **changes)


def _name(table: Entry) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.error("a name is lower-case letters, digits and . _ + -", name, 'write name = "w8a8-mine", say')
    if _is_grammatical(name):
        raise table.error("the grammar gives this name a meaning of its own", name, "choose another name")
    return name


def _is_grammatical(name: str) -> bool:
    try:
        take_apart(name)
    except GrammarError:
        return name == "fp32"
    return True


def _qat(table: Entry, base: Recipe) -> QatSettings:
    if base.qat is None:
        raise table.error(f"{base.name} trains nothing", "[recipe.qat]", "leave out qat, or choose another base")
    settings = asdict(base.qat)
    given = table.below(table.table["qat"], f"{table.where}, [recipe.qat]", tuple(settings))
    rules = {key: _QAT_RULES.get(key) or _like(default) for key, default in settings.items()}
    return replace(base.qat, **_checked(given, rules, base))


def _like(default: object) -> _Rule:
    """A value as a setting's default is one."""
    if isinstance(default, int):
        return _Rule("a whole number above 0", lambda value: _is_whole(value) and value > 0)
    return _Rule("a finite number above 0", lambda value: _is_number(value) and value > 0)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_globs(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and _GLOB.fullmatch(v) for v in value)


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
        'a number from 0 to 1, or "auto"',
        lambda value: value == AUTO or (_is_number(value) and 0 <= value <= 1),
        lambda recipe: recipe.alpha is not None,
    ),
    "percentile": _Rule(
        "a number above 50 and below 100",
        lambda value: _is_number(value) and 50 < value < 100,
        lambda recipe: recipe.range_setting == "percentile",
    ),
    "float_layers": _Rule(
        "a list of layers' names, which may hold *", _is_globs, lambda recipe: not recipe.ends_in_float
    ),
}
