"""What a GitHub workflow is told: annotations of a pull request, and the job summary.

A runner takes any line of a step's output that looks like a command for one. Names of
classes and files come from data, so pytest's own output is silenced as a source of
commands, and what is said here is escaped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord
from reliability.claims.wording import inert
from reliability.report.cells import sentence
from reliability.report.headline import headline, is_lenient, stopping
from reliability.report.markdown import render

MOST_ANNOTATIONS = 10
"""GitHub shows that many errors of a step, and drops the others silently."""

MOST_BYTES = 1_000_000
"""GitHub refuses a job summary of more than 1 MiB, all of it."""


@dataclass(frozen=True)
class GitHub:
    """The workflow that a run is part of.

    Attributes:
        summary: File that becomes the job summary; None outside a workflow.
        workspace: The checkout, which annotated files are relative to.
        token: Ends the time in which output is no command; a random one, so that no output holds it.
    """

    summary: Path | None
    workspace: Path
    token: str

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> GitHub:
        """As the runner's variables describe it."""
        summary = environment.get("GITHUB_STEP_SUMMARY")
        workspace = Path(environment.get("GITHUB_WORKSPACE") or Path.cwd())
        return cls(Path(summary) if summary else None, workspace, secrets.token_hex(16))

    def silence(self) -> list[str]:
        """From here on no line is a command."""
        return [f"::stop-commands::{self.token}"]

    def speak(self, run: RunRecord | None, fault: str | None) -> list[str]:
        """From here on lines are commands again: one for each case that stops the run, worst first.

        Args:
            run: What was judged; None where nothing was.
            fault: What kept the run from judging.
        """
        lines = [f"::{self.token}::"]
        if fault is not None:
            lines.append(command("error", fault, title="reliability"))
        return lines if run is None else [*lines, *self._annotations(run)]

    def _annotations(self, run: RunRecord) -> list[str]:
        results = run.results()
        stops = stopping(results)
        shown = stops if len(stops) <= MOST_ANNOTATIONS else stops[: MOST_ANNOTATIONS - 1]
        lines = [self._annotation(result, is_lenient(run)) for result in shown]
        if len(stops) > len(shown):
            rest = f"{len(stops) - len(shown)} more are in the job summary and in the report."
            lines.append(command("error", rest, title=headline(run, results)))
        return lines

    def _annotation(self, result: CaseResult, lenient: bool) -> str:
        bound = result.bound
        level = "warning" if lenient and result.outcome == "inconclusive" else "error"
        text = result.error if result.error is not None else f"{sentence(result)}\n{bound.place}: {bound.reason}"
        place = {"file": self._path(bound.file), "line": str(bound.line or "")}
        return command(level, text, **place, title=f"{result.outcome}: {result.case}")

    def _path(self, file: str) -> str:
        """A file as seen from the checkout; empty for one outside it, which no annotation can be put on."""
        path = Path(os.path.relpath(file, self.workspace))
        return "" if ".." in path.parts else path.as_posix()

    def summarise(self, run: RunRecord) -> None:
        """Add the report to the job summary, without its pictures, which a summary cannot hold."""
        if self.summary is None:
            return
        with self.summary.open("a", encoding="utf-8") as file:
            file.write(fitting(render(run, run.results())))


def command(name: str, message: str, **properties: str) -> str:
    """A workflow command in which no text can end it, begin another or set a property.

    >>> command("error", "50 % off\\n::set-env::", title="a,b: c", file="")
    '::error title=a%2Cb%3A c::50 %25 off%0A::set-env::'
    """
    given = ",".join(f"{key}={_in_property(value)}" for key, value in properties.items() if value)
    return f"::{name} {given}::{_in_message(message)}"


def _in_message(text: str) -> str:
    lines = [inert(line) for line in text.splitlines()]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _in_property(text: str) -> str:
    return inert(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def fitting(text: str, most: int = MOST_BYTES) -> str:
    """A report that a job summary takes, cut at the end of a line where it is too long."""
    content = text.encode()
    if len(content) <= most:
        return text
    kept: Sequence[str] = content[:most].decode(errors="ignore").splitlines()[:-1]
    return "\n".join([*kept, "", "**Cut here:** the whole report is report.md in the run's folder.", ""])
