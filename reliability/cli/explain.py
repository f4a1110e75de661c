"""``reliability explain``: how a figure came about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reliability.cli.session_options import DATA, MODELS, PLACES, session_options
from reliability.errors import ReliabilityError, UsageError

if TYPE_CHECKING:
    from reliability.claims.records import CaseResult
    from reliability.claims.runs import RunRecord
    from reliability.explaining import CaseAgain


@click.command()
@click.argument("case")
@click.option(
    "--report", "--reports", "reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
    help="a run's report folder, or a folder of such",
)  # fmt: skip
@click.option("--compute", is_flag=True, help="run the models for what is not in the cache")
@click.option("--search", is_flag=True, help="judge recipes near this one until one holds; runs models")
@session_options(*MODELS, *DATA, *PLACES)
def explain(case: str, reports: Path, compute: bool, search: bool, given: Mapping[str, Any]) -> None:
    """Print how the figure of CASE came about, from the newest run that judged it.

    CASE is a name as a failure shows it, such as "accuracy[scenes-clean-w4a4-minmax-id-top1]".
    What the run's record holds is shown in any case. Classes, pictures and layers are shown from
    the cache; options that the record cannot hold, such as --data-root or --candidate, are to be
    given as they were in the run.
    """
    from reliability.report.explain import explain_lines

    result, run, folder = _find(case, reports)
    again = _again(result, run, given, compute=compute or search)
    found = None if isinstance(again, ReliabilityError) else again.take_apart(_method(result))
    click.echo("\n".join(explain_lines(result, found)))
    if isinstance(again, ReliabilityError):
        click.echo(f"\nnot shown: classes, pictures and layers:\n{_indented(again)}")
    if result.outcome != "holds":
        _nearby(result, run)
    if search:
        _search(again)
    click.echo(f"\nrun: {folder}")


def _find(case: str, reports: Path) -> tuple[CaseResult, RunRecord, Path]:
    from reliability.claims.runs import read_json

    for file in _newest_first(reports):
        run = read_json(file)
        for result in run.results():
            if result.case == case:
                return result, run, file.parent
    raise UsageError(
        where=str(reports), what="no run here judged this case", got=case,
        next="run pytest suites/ first, or name the folder with --report",
    )  # fmt: skip


def _newest_first(reports: Path) -> list[Path]:
    files = [*reports.glob("report.json"), *reports.glob("*/report.json")]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)


def _again(
    result: CaseResult, run: RunRecord, given: Mapping[str, Any], *, compute: bool
) -> CaseAgain | ReliabilityError:
    """The case, opened once more; or why that is not possible, which is no reason to say nothing of it."""
    from reliability.explaining import CaseAgain

    try:
        return CaseAgain.find(result, run, given, compute=compute)
    except ReliabilityError as error:
        return error


def _method(result: CaseResult) -> str:
    return result.verdict.comparison.method if result.verdict is not None else ""


def _nearby(result: CaseResult, run: RunRecord) -> None:
    from reliability.claims.explained import known_to_hold
    from reliability.report.explain import known_lines

    click.echo("\n" + "\n".join(known_lines(known_to_hold(result, run.results()))))


def _search(again: CaseAgain | ReliabilityError) -> None:
    from reliability.report.explain import attempt_lines

    if isinstance(again, ReliabilityError):
        raise again
    attempts = []
    for attempt in again.search():
        outcome = attempt.verdict.outcome if attempt.verdict is not None else "error"
        click.echo(f"searched {attempt.recipe}: {outcome}", err=True)
        attempts.append(attempt)
    click.echo("\n" + "\n".join(attempt_lines(attempts)))


def _indented(error: ReliabilityError) -> str:
    from reliability.claims.wording import inert

    return "\n".join(f"  {inert(line)}" for line in str(error).splitlines())
