"""``reliability schema``: what editors complete and check files by."""

from __future__ import annotations

from pathlib import Path

import click

SCHEMAS = ("thresholds",)


@click.command()
@click.argument("what", type=click.Choice(SCHEMAS))
@click.option("--out", type=click.Path(path_type=Path), help="write it to this file (default: print it)")
def schema(what: str, out: Path | None) -> None:
    """Print the JSON Schema of threshold files, with the metrics and scores that are registered here.

    An editor with taplo or Even Better TOML completes and checks a file whose first line is
    "#:schema ./thresholds.schema.json", the path of that file.
    """
    from reliability.claims.names import nameable
    from reliability.claims.schema import schema_text

    del what  # there is one kind of file so far
    text = schema_text(nameable())
    if out is None:
        click.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    click.echo(f"wrote {out}")
