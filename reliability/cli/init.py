"""``reliability init``: a starter suite in somebody's repository."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from reliability.errors import UsageError

STARTER = {
    "conftest.py.txt": "tests/reliability/conftest.py",
    "test_reliability.py.txt": "tests/reliability/test_reliability.py",
    "thresholds.toml.txt": "tests/reliability/thresholds.toml",
    "github.yml.txt": ".github/workflows/reliability.yml",
}
"""File of ``reliability/starter`` to where it goes."""


@click.command()
@click.argument("repository", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path())
def init(repository: Path) -> None:
    """Write a starter suite, a threshold file and a workflow into REPOSITORY (default: here).

    Nothing is written over: if one of the files exists, none is written.
    """
    there = [target for target in STARTER.values() if (repository / target).exists()]
    if there:
        raise UsageError(
            where=str(repository), what="a file that would be written is already here", got=", ".join(there),
            next=f"move it away, or copy the others from {files('reliability.starter')}",
        )  # fmt: skip
    for name, target in STARTER.items():
        path = repository / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((files("reliability.starter") / name).read_text(encoding="utf-8"), encoding="utf-8")
        click.echo(f"wrote {target}")
    click.echo("next: set the margins in tests/reliability/thresholds.toml, then")
    click.echo("  pytest tests/reliability --thresholds tests/reliability/thresholds.toml")
