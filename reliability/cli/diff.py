"""``reliability diff``: two runs beside each other."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def diff(before: Path, after: Path) -> None:
    """Show what changed between two runs, each a report folder or its report.json.

    The exit status is 1 when a verdict changed for the worse.
    """
    from reliability.claims.runs import read_json
    from reliability.report.diff import compare_runs, diff_lines, worsened

    runs = [read_json(path / "report.json" if path.is_dir() else path) for path in (before, after)]
    found = compare_runs(*runs)
    click.echo("\n".join(diff_lines(found)))
    if worsened(found):
        raise SystemExit(1)
