"""``reliability cache-key``: what a CI system should keep embeddings under."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from reliability.cli.session_options import DATA, MODELS, PLACES, session_options


@click.command("cache-key")
@session_options(*MODELS, *DATA, *PLACES)
def cache_key(given: Mapping[str, Any]) -> None:
    """Print the key of everything that the gate's embeddings depend on, as CODE-CONTENT.

    Options are those of the gate, and [tool.reliability] in pyproject.toml counts here too. A cache
    under the same key holds all that a run reads. One under the same CODE may hold some of it;
    one under another CODE holds nothing of use.
    """
    from reliability.session.cache_key import cache_key_of
    from reliability.session.gate import GateSession
    from reliability.session.options import Options

    click.echo(cache_key_of(GateSession.open(Options.of(Path.cwd(), given))))
