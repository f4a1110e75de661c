"""The ``reliability`` command: what there is to choose from, and how a figure came about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reliability.errors import ReliabilityError, UsageError

Rows = list[tuple[str, str]]


class _Group(click.Group):
    """Shows errors of our own family as text, not as tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ReliabilityError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
@click.version_option(package_name="quant-reliability")
def main() -> None:
    """Is this quantized CLIP as reliable as its FP32 original?

    The gate itself is a pytest suite: pytest suites/ --help, group "reliability".
    """


def _recipes() -> Rows:
    from reliability.quant.recipe import list_recipes

    return list(list_recipes().items())


def _models() -> Rows:
    from reliability.models.spec import KINDS
    from reliability.models.zoo import zoo_config, zoo_names

    rows = [(f"zoo:{name}", f"trained on {zoo_config(name)['training']['source']}") for name in zoo_names()]
    return [*rows, *((f"{kind}:...", text) for kind, text in KINDS.items() if kind != "zoo")]


def _metrics() -> Rows:
    from reliability.metrics.registry import all_metrics

    return [(metric.name, metric.summary) for metric in all_metrics()]


def _scores() -> Rows:
    from reliability.metrics.scores import SCORES

    return [(name, SCORES[name].summary) for name in sorted(SCORES)]


def _tasks() -> Rows:
    from reliability.data.registry import open_data

    return [(name, task.card) for name, task in open_data("scenes").tasks.items()]


def _data() -> Rows:
    from reliability.data.registry import KINDS

    return [(kind, (opener.__doc__ or "").strip().splitlines()[0]) for kind, opener in KINDS.items()]


_LISTS: dict[str, Callable[[], Rows]] = {
    "recipes": _recipes,
    "models": _models,
    "metrics": _metrics,
    "scores": _scores,
    "tasks": _tasks,
    "data": _data,
}


@main.command("list")
@click.argument("what", type=click.Choice(list(_LISTS)))
def list_names(what: str) -> None:
    """List the names that an option or a threshold file may use."""
    rows = _LISTS[what]()
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")


@main.command()
@click.argument("case")
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), help="folder of runs")
def explain(case: str, reports: Path) -> None:
    """Print how the figure of CASE came about, from the newest run that judged it.

    CASE is a name as a failure shows it, such as "accuracy[scenes-clean-w4a4-minmax-id-top1]".
    """
    from reliability.claims.records import read_json
    from reliability.report.terminal import explain_lines

    for file in _newest_first(reports):
        for result in read_json(file).results():
            if result.case == case:
                click.echo("\n".join([*explain_lines(result), f"run: {file.parent}"]))
                return
    raise UsageError(
        where=str(reports), what="no run here judged this case", got=case,
        next="run pytest suites/ first, or name the folder with --reports",
    )  # fmt: skip


def _newest_first(reports: Path) -> list[Path]:
    files = [*reports.glob("report.json"), *reports.glob("*/report.json")]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
