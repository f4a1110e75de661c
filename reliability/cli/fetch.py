"""``reliability fetch``: sets that torchvision publishes."""

from __future__ import annotations

from pathlib import Path

import click

from reliability.errors import UsageError


@click.command()
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
