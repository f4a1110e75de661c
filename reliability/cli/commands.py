"""The command's group; a new command is one module beside this one, and one name in ``COMMANDS``."""

from __future__ import annotations

from typing import Any

import click

from reliability.cli.cache_key import cache_key
from reliability.cli.completion import completion
from reliability.cli.diff import diff
from reliability.cli.doctor import doctor
from reliability.cli.explain import explain
from reliability.cli.export import export
from reliability.cli.fetch import fetch
from reliability.cli.init import init
from reliability.cli.listing import list_names
from reliability.cli.pictures import pictures
from reliability.cli.propose import propose
from reliability.cli.quantize import quantize
from reliability.cli.query import query
from reliability.cli.schema import schema
from reliability.cli.study import study
from reliability.cli.sweep import sweep
from reliability.errors import ReliabilityError


class _Group(click.Group):
    """Lists its commands by what they are for, and shows errors of our own family as text, not as tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ReliabilityError as error:
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(len(name) for name in self.list_commands(ctx))
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{c.name:<{widest}}", c.get_short_help_str(limit=200)) for c in commands])


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="quant-reliability")
def main() -> None:
    """Is this quantized CLIP as reliable as its FP32 original?

    The gate itself is a pytest suite: see pytest --help, group "reliability". What a command
    takes is shown by reliability COMMAND --help.
    """


COMMANDS: dict[str, tuple[click.Command, ...]] = {
    "Set up": (init, doctor, fetch, list_names, completion),
    "Judge": (explain, diff, propose, schema, cache_key),
    "Bring your own model": (quantize, export, pictures),
    "Many runs": (sweep, query, study),
}
"""By what they are for, in the order of the help."""

for _commands in COMMANDS.values():
    for _command in _commands:
        main.add_command(_command)
