"""Options of a gate run, for commands that open one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from reliability.evaluate.storage.store import location
from reliability.session.options import SETTINGS, Setting, says_something

MODELS = ("reference", "checkpoint", "candidate", "embeddings", "untrusted", "recipes", "recipe-file")
DATA = ("data", "data-root", "prompts", "tasks", "skip-unreadable", "limit")
PLACES = ("thresholds", "cache-dir", "torch-device", "torch-threads")


def session_options(*names: str, **words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command some settings of a run, as its argument ``given``: name to value, for those that were given.

    Args:
        names: Of settings.
        words: Help of a setting, by its name as a parameter, where the command means something else by it.
    """
    chosen = [setting for setting in SETTINGS if setting.name in names]
    assert len(chosen) == len(names), "every name is a setting"

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_given(**values: Any) -> None:
            found = {setting.name: values.pop(setting.name.replace("-", "_")) for setting in chosen}
            command(given={name: value for name, value in found.items() if says_something(value)}, **values)

        wrapped: Callable[..., None] = with_given
        for setting in reversed(chosen):
            wrapped = _option(setting, words)(wrapped)
        return wrapped

    return decorate


def _option(setting: Setting, words: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kinds: dict[str, dict[str, Any]] = {
        "models": {"multiple": True},
        "path": {"type": click.Path(path_type=Path)},
        "place": {"type": location},
        "count": {"type": click.IntRange(1)},
        "whole": {"type": click.IntRange(0)},
        "flag": {"is_flag": True},
    }
    text = words.get(setting.name.replace("-", "_"), setting.help)
    settings = {"metavar": setting.metavar or None, **kinds.get(setting.kind, {})}
    return click.option(f"--{setting.name}", help=text, **settings)
