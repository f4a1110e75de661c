"""The ``reliability`` command: what there is to choose from, and how a figure came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from reliability.errors import ReliabilityError, UsageError

Rows = list[tuple[str, str]]

_PACKAGES = {
    "torch": "running models",
    "torchvision": "preprocessing, torchvision: data",
    "open_clip_torch": "models, ImageNet's class names",
    "pyarrow": "parquet: data",
    "scipy": "torchvision:SVHN and Flowers102",
}
"""Distribution to what needs it."""


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

    return [(name, kind.summary) for name, kind in KINDS.items()]


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


@main.command()
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
def doctor(data_root: Path | None) -> None:
    """Show which data sets and optional packages are here, and how to get the others."""
    from reliability.data.benchmarks.inventory import inventory
    from reliability.data.benchmarks.registry import benchmark_root

    root = benchmark_root(data_root)
    entries = inventory(root)
    click.echo(f"data root: {root}\n")
    rows = [(e.spec, e.state, e.holds, e.size, e.licence) for e in entries]
    click.echo(_table(rows, ["--data", "state", "pictures", "on disk", "licence"]))
    steps = [(e.spec, e.where, e.next) for e in entries if e.next]
    click.echo("\n" + _table(steps, ["not here", "goes to", "how to get it, or what is wrong"]))
    click.echo("\n" + _table(_extras(), ["package", "version", "for"]))


def _table(rows: Sequence[Sequence[object]], headers: list[str]) -> str:
    return tabulate([[str(cell) for cell in row] for row in rows], headers, disable_numparse=True)


def _extras() -> list[tuple[str, str, str]]:
    found = [(name, _version(name), use) for name, use in _PACKAGES.items()]
    return [*found, ("GPU", _gpu(), "--torch-device cuda")]


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError

    from reliability.versions import installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return "missing"


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "torch is missing"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


@main.command()
@click.argument("name", metavar="torchvision:NAME")
@click.option("--data-root", type=click.Path(path_type=Path), help="where it goes (default: the user's cache)")
def fetch(name: str, data_root: Path | None) -> None:
    """Download a set that torchvision publishes, or unpack its archives."""
    from reliability.data.torchvision import fetch_torchvision

    kind, _, location = name.partition(":")
    if kind != "torchvision":
        raise UsageError(
            where=f"reliability fetch {name}", what="only torchvision's sets can be fetched", got=name,
            next="see reliability doctor for where each other set comes from and goes",
        )  # fmt: skip
    click.echo(f"{name} is in {fetch_torchvision(location, data_root)}")


def _newest_first(reports: Path) -> list[Path]:
    files = [*reports.glob("report.json"), *reports.glob("*/report.json")]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
