"""Progress on the terminal, past pytest's capture."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from reliability.evaluate.running.progress import SILENT, Bars

if TYPE_CHECKING:
    from reliability.evaluate.running.progress import Progress


def progress_of(config: pytest.Config) -> Progress:
    """Bars for a person who watches; nothing for a worker, under ``-q``, or where no terminal is."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if hasattr(config, "workerinput") or config.get_verbosity() < 0 or capture is None:
        return SILENT
    screen = Screen(capture)
    return Bars(screen, config.get_terminal_writer().fullwidth) if screen.isatty() else SILENT


class Screen:
    """The standard error stream, as it is where pytest does not capture it."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture

    @property
    def encoding(self) -> str:
        """Of the terminal: tqdm asks whether it can draw blocks."""
        return sys.__stderr__.encoding if sys.__stderr__ is not None else "ascii"

    def write(self, text: str) -> None:
        """Write past the capture."""
        with self._capture.global_and_fixture_disabled():
            sys.stderr.write(text)
            sys.stderr.flush()

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Whether a person may be watching."""
        with self._capture.global_and_fixture_disabled():
            return sys.stderr.isatty()
