"""Gathers the records of a run, and says at the end what came of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from reliability.errors import ReliabilityError
from reliability.plugin.cases import FAULT, fault_of
from reliability.plugin.judging import RECORD
from reliability.plugin.options import read_options, session_of

if TYPE_CHECKING:
    from reliability.claims.runs import RunRecord
    from reliability.report.github import GitHub
    from reliability.session.log import RunLog

_MARKUP: dict[str, dict[str, bool]] = {
    "All": {"green": True, "bold": True},
    "The": {"green": True, "bold": True},
    "Stopped:": {"red": True, "bold": True},
    "No": {"yellow": True, "bold": True},
    "broken": {"red": True},
    "error": {"red": True},
    "inconclusive": {"yellow": True},
}
"""First word of a line to its colours, where the terminal has any."""


class RunReporter:
    """Lives in the controller, or in the only process: gathers records and writes the report."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._log: RunLog | None = None
        self._fault: str | None = None
        self._github: GitHub | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """In a GitHub workflow, let nothing that is printed from here on pass for a command."""
        if self._config.getoption("--github"):
            from reliability.report.github import GitHub

            self._github = GitHub.of_environment()
            self._write(self._github.silence())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker that could not collect says why; all workers say the same."""
        self._fault = self._fault or getattr(node, "workeroutput", {}).get(FAULT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a finished case's record, on disk at once so that a crash loses nothing."""
        record = getattr(report, RECORD, None)
        # pytest-rerunfailures has an outcome of its own, after which another report follows.
        if isinstance(record, dict) and str(report.outcome) != "rerun":
            try:
                self._keep(record)
            except ReliabilityError as error:
                # Such as a full disk: what is still to be judged may yet find room, and the run fails at the end.
                self._fault = self._fault or str(error)

    def _keep(self, record: dict[str, Any]) -> None:
        if self._log is None:
            from reliability.session.log import RunLog

            self._log = RunLog.start(read_options(self._config))
        self._log.add(record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report of whatever has been judged."""
        if self._fault is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if self._log is None:
            return
        ended = int(session.exitstatus) in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        try:
            self._log.finish(session_of(self._config), ended=ended)
        except ReliabilityError as error:
            # What the workers know, such as a metric of a conftest, this process may not.
            self._fault = str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if self._log.foreign and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """A few lines at the end, and where the report is; after all else, what GitHub is told."""
        yield
        if self._fault is not None:
            self._write([f"ERROR: {self._fault}"], red=True)
        if self._log is not None and self._config.get_verbosity() >= 0:
            self._summarise(self._log)
        if self._github is not None:
            self._tell(self._github, self._log.run if self._log is not None else None)

    def _tell(self, github: GitHub, run: RunRecord | None) -> None:
        self._write(github.speak(run, self._fault or fault_of(self._config)))
        if run is not None:
            github.summarise(run)

    def _summarise(self, log: RunLog) -> None:
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.section("reliability")
        for line in log.summary_lines():
            self._write([line], **_MARKUP.get(line.partition(" ")[0], {}))

    def _write(self, lines: list[str], **markup: bool) -> None:
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        for line in lines if terminal is not None else ():
            terminal.write_line(line, **markup)
