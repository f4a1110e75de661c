"""The command's group; a new command is one module beside this one, and one line in ``COMMANDS``."""

from __future__ import annotations

from typing import Any

import click

from reliability.cli.diff import diff
from reliability.cli.doctor import doctor
from reliability.cli.explain import explain
from reliability.cli.export import export
from reliability.cli.fetch import fetch
from reliability.cli.init import init
from reliability.cli.listing import list_names
from reliability.cli.pictures import pictures
from reliability.cli.quantize import quantize
from reliability.cli.query import query
from reliability.cli.study import study
from reliability.cli.sweep import sweep
from reliability.errors import ReliabilityError


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


COMMANDS: tuple[click.Command, ...] = (
    list_names,
    init,
    explain,
    diff,
    doctor,
    fetch,
    quantize,
    export,
    pictures,
    sweep,
    query,
    study,
)

for _command in COMMANDS:
    main.add_command(_command)
