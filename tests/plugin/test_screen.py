"""Progress reaches a person at a terminal past pytest's capture, and nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from reliability.evaluate.running.progress import SILENT, Bars
from reliability.plugin.screen import progress_of


class Terminal(StringIO):
    """A standard error stream that may be a terminal."""

    watched = True

    def isatty(self) -> bool:
        return self.watched


class Capture:
    """Pytest's capture manager: what is written while it captures is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
        self._patch, self._terminal = monkeypatch, terminal

    @contextmanager
    def global_and_fixture_disabled(self) -> Iterator[None]:
        captured = sys.stderr
        self._patch.setattr(sys, "stderr", self._terminal)
        yield
        self._patch.setattr(sys, "stderr", captured)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def config(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of pytest's configuration as is asked."""
    plugins = {"capturemanager": Capture(monkeypatch, terminal)}
    return SimpleNamespace(
        pluginmanager=SimpleNamespace(getplugin=plugins.get),
        get_verbosity=lambda: 0,
        get_terminal_writer=lambda: SimpleNamespace(fullwidth=60),
    )


def test_a_person_who_watches_sees_a_line_past_the_capture(
    config: Any, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = StringIO()
    monkeypatch.setattr(sys, "stderr", lost)
    progress = progress_of(config)
    assert isinstance(progress, Bars)
    with progress.busy("preparing w8a8-lsq"):
        pass
    assert "preparing w8a8-lsq" in terminal.getvalue()
    assert lost.getvalue() == ""
    assert max(len(line) for line in terminal.getvalue().split("\r")) <= 60


def test_nothing_is_drawn_where_nobody_watches(config: Any, terminal: Terminal) -> None:
    terminal.watched = False
    assert progress_of(config) is SILENT


def test_nothing_is_drawn_when_quiet_was_asked_for(config: Any) -> None:
    config.get_verbosity = lambda: -1
    assert progress_of(config) is SILENT


def test_workers_draw_nothing(config: Any) -> None:
    config.workerinput = {"workerid": "gw0"}
    assert progress_of(config) is SILENT
