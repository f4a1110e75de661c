"""``reliability list``: the names that an option or a threshold file may use."""

from __future__ import annotations

from collections.abc import Callable

import click

Rows = list[tuple[str, str]]


def _recipes() -> Rows:
    from reliability.quant.recipe import list_recipes

    return list(list_recipes().items())


def _models() -> Rows:
    from reliability.models.spec import KINDS
    from reliability.models.zoo import zoo_config, zoo_names

    rows = [(f"zoo:{name}", f"trained on {zoo_config(name)['training']['source']}") for name in zoo_names()]
    return [*rows, *((f"{name}:...", kind.form) for name, kind in KINDS.items() if name != "zoo")]


def _metrics() -> Rows:
    from reliability.metrics.registry import all_metrics

    return [(metric.name, metric.summary) for metric in all_metrics()]


def _scores() -> Rows:
    from reliability.metrics.scores import all_scores

    return [(score.name, score.summary) for score in all_scores()]


def _tasks() -> Rows:
    from reliability.data.registry import open_data

    return [(name, task.card) for name, task in open_data("scenes").tasks.items()]


def _data() -> Rows:
    from reliability.data.registry import KINDS

    return [(name, kind.summary) for name, kind in KINDS.items()]


_LISTS: dict[str, Callable[[], Rows]] = {
    "recipes": _recipes,
    "models": _models,
    "metrics": _metrics,
    "scores": _scores,
    "tasks": _tasks,
    "data": _data,
}
"""What can be listed; a new listing is one line here."""


@click.command("list")
@click.argument("what", type=click.Choice(list(_LISTS)))
def list_names(what: str) -> None:
    """List the names that an option or a threshold file may use."""
    rows = _LISTS[what]()
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")
