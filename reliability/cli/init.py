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
}
"""File of ``reliability/starter`` to where it goes."""

WORKFLOWS = {
    "github": {"github.yml.txt": ".github/workflows/reliability.yml"},
    "gitlab": {"gitlab.yml.txt": ".gitlab/reliability.yml"},
    "none": {},
}
"""CI system to its file."""

_HINTS = {"gitlab": "add to .gitlab-ci.yml:   include: { local: .gitlab/reliability.yml }"}


@click.command()
@click.argument("repository", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path())
@click.option(
    "--ci",
    type=click.Choice(list(WORKFLOWS)),
    help="whose workflow to write (default: gitlab where there is a .gitlab-ci.yml, else github)",
)
def init(repository: Path, ci: str | None) -> None:
    """Write a starter suite, a threshold file and a workflow into REPOSITORY (default: here).

    Nothing is written over: if one of the files exists, none is written.
    """
    ci = ci or ("gitlab" if (repository / ".gitlab-ci.yml").is_file() else "github")
    wanted = {**STARTER, **WORKFLOWS[ci]}
    there = [target for target in wanted.values() if (repository / target).exists()]
    if there:
        raise UsageError(
            where=str(repository), what="a file that would be written is already here", got=", ".join(there),
            next=f"move it away, or copy the others from {files('reliability.starter')}",
        )  # fmt: skip
    for name, target in wanted.items():
        path = repository / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((files("reliability.starter") / name).read_text(encoding="utf-8"), encoding="utf-8")
        click.echo(f"wrote {target}")
    for line in (_HINTS[ci],) if ci in _HINTS else ():
        click.echo(line)
    click.echo("next: set the margins in tests/reliability/thresholds.toml, then: pytest tests/reliability")
