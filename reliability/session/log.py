"""Records of finished cases, and the report made of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reliability.claims.contradictions import contradictions
from reliability.claims.records import load_case
from reliability.claims.runs import RunRecord
from reliability.report.markdown import write_report
from reliability.report.terminal import summary_lines
from reliability.session.gate import GateSession
from reliability.session.options import Options
from reliability.session.page import page_line
from reliability.session.report_folder import naming, report_folder


@dataclass
class RunLog:
    """Records of finished cases, in the controller.

    Attributes:
        folder: The run's report folder; ``cases.jsonl`` grows there case by case.
        page: Where ``report.html`` is, or why there is none, as a line for the end of a run.
        foreign: What shows that some records are not of this run; any of it fails the run.
    """

    folder: Path
    started: float
    records: list[dict[str, Any]] = field(default_factory=list)
    run: RunRecord | None = None
    page: str = ""
    foreign: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, options: Options) -> RunLog:
        """Create the report folder.

        Raises:
            UsageError: It cannot be written to.
        """
        folder = report_folder(options)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cases.jsonl").write_text("")
        return cls(folder, time.monotonic())

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record and append it to the log on disk.

        Raises:
            UsageError: It cannot be written; it is kept nevertheless.
        """
        self.records.append(record)
        with naming(self.folder), (self.folder / "cases.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, session: GateSession, *, ended: bool) -> None:
        """Write the report, as :func:`reliability.report.markdown.write_report` does.

        A case of the threshold file that left no record, whether deselected, lost with
        a worker or never reached, makes the run partial; a record that nothing asked for,
        or that contradicts another, is one of another run.

        Raises:
            RecordError: A record is damaged, contradicts itself, or is there twice.
            UsageError: The report cannot be written.
        """
        planned = session.plan.all_cases()
        recorded = {record["case"] for record in self.records}
        missing, strange = sorted(planned - recorded), sorted(recorded - planned)
        self.foreign = [f"a case was not asked for: {case}" for case in strange]
        self.foreign += contradictions(load_case(record) for record in self.records)
        problems = [*([] if ended else ["the run was interrupted"]), *self.foreign]
        if missing:
            problems.append(f"{len(missing)} of {len(planned)} cases were not judged, such as {missing[0]}")
        described = session.describe() | {"seconds": round(time.monotonic() - self.started, 1)}
        self.run = RunRecord(
            run=described, notes=session.notes, cases=self.records, complete=not problems, problems=problems
        )
        with naming(self.folder):
            write_report(self.folder, self.run)
            self.page = page_line(self.folder, self.run, session)

    def summary_lines(self) -> list[str]:
        """Short table of the run and the report's path."""
        lines = summary_lines(self.run) if self.run is not None else []
        return [*lines, f"report: {self.folder / 'report.md'}", *([self.page] if self.page else [])]
