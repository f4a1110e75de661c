"""Options that several commands share, and the engine they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reliability.evaluate.engine import Engine
    from reliability.quant.recipe import Recipe


@dataclass(frozen=True)
class EngineOptions:
    """Where range-setting data come from and how things are computed; as the gate's own options."""

    data: str
    data_root: Path | None
    prompts: Path | None
    cache_dir: Path | None
    torch_device: str
    torch_threads: int

    def engine(self) -> Engine:
        """An engine over these data."""
        from threadpoolctl import threadpool_limits

        from reliability.data.registry import open_data
        from reliability.evaluate.engine import Engine
        from reliability.evaluate.storage.cache import Cache
        from reliability.session.options import Options

        folder = Options(root=Path(), cache_dir=self.cache_dir).cache_folder
        threadpool_limits(self.torch_threads)
        data = open_data(self.data, self.data_root, prompts=self.prompts)
        return Engine(Cache(folder), data, self.torch_device, self.torch_threads)


_ENGINE_OPTIONS = (
    click.option("--data", default="scenes", show_default=True, help="where range-setting data come from"),
    click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie"),
    click.option("--prompts", type=click.Path(path_type=Path), help="class names and templates of your own, in TOML"),
    click.option("--cache-dir", type=click.Path(path_type=Path), help="where prepared candidates are kept"),
    click.option("--torch-device", default="cpu", show_default=True, help="cpu or cuda"),
    click.option("--torch-threads", default=1, show_default=True, help="torch threads"),
)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`EngineOptions`, as its argument ``options``."""

    @wraps(command)
    def wrapped(**values: Any) -> None:
        names = EngineOptions.__dataclass_fields__
        options = EngineOptions(**{name: values.pop(name) for name in names})
        command(options=options, **values)

    for option in reversed(_ENGINE_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def find_recipe(name: str, recipe_file: Path | None) -> Recipe:
    """A recipe of the user's own file, or one of the grammar."""
    from reliability.quant.recipe import parse_recipe
    from reliability.quant.recipe_file import load_recipes

    own = load_recipes(recipe_file) if recipe_file else {}
    return own[name] if name in own else parse_recipe(name)
