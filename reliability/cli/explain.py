"""``reliability explain``: how a figure came about."""

from __future__ import annotations

from pathlib import Path

import click

from reliability.errors import UsageError


@click.command()
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


def _newest_first(reports: Path) -> list[Path]:
    files = [*reports.glob("report.json"), *reports.glob("*/report.json")]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
