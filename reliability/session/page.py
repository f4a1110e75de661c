"""The page beside the report: written where its packages are installed, and said where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reliability.claims.runs import RunRecord
from reliability.errors import MissingExtraError
from reliability.evaluate.named_pictures import pictures_named
from reliability.report.html.page import write_page
from reliability.report.html.script import chart_script
from reliability.session.gate import GateSession
from reliability.types import U8


def page_line(folder: Path, run: RunRecord, session: GateSession) -> str:
    """Write ``report.html``; one line for the end of a run: where it is, or what it lacks.

    Raises:
        RecordError: What a case brought cannot be drawn.
    """

    def pictures(task: str, ids: Sequence[str]) -> Mapping[str, U8]:
        return pictures_named(session.data.sources[session.data.task(task).part.source], ids)

    try:
        path = write_page(folder, run, lambda: chart_script(session.engine.cache), pictures)
    except MissingExtraError as error:
        return f"no report.html: {error.next}"
    return f"page: {path}"
