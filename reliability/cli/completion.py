"""``reliability completion``: names of commands and options by the tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = {
    "bash": 'eval "$(reliability completion bash)"            in ~/.bashrc',
    "zsh": 'eval "$(reliability completion zsh)"             in ~/.zshrc, after compinit',
    "fish": "reliability completion fish | source            in ~/.config/fish/config.fish",
}
"""Shell to the line that switches completion on, and where it belongs."""


@click.command(epilog="\b\n" + "\n".join(SHELLS.values()))
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands and options."""
    found = get_completion_class(shell)
    assert found is not None, "click knows these shells"
    root = ctx.find_root()
    click.echo(found(root.command, {}, "reliability", "_RELIABILITY_COMPLETE").source(), nl=False)
