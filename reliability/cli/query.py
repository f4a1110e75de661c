"""``reliability query``: questions to a sweep's rows, in SQL."""

from __future__ import annotations

import click
from tabulate import tabulate

from reliability.evaluate.storage.store import Location, location

FORMATS = {"table": "simple", "markdown": "github", "csv": ""}


@click.command()
@click.argument("out", type=location)
@click.argument("sql")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="table", show_default=True, help="of the answer"
)
def query(out: Location, sql: str, form: str) -> None:
    """Answer SQL over the view "runs" of the sweep in OUT.

    For example "SELECT recipe, avg(harm) FROM runs WHERE metric = 'ece' GROUP BY ALL ORDER BY 2";
    DESCRIBE runs lists the columns.
    """
    import csv
    import sys

    from reliability.sweep.query import query as ask

    answer = ask(out, sql)
    if form == "csv":
        csv.writer(sys.stdout).writerows([answer.columns, *answer.rows])
    else:
        click.echo(tabulate(answer.rows, answer.columns, tablefmt=FORMATS[form]))
