"""The folder that a run reports to, opened before anything is judged."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliability.errors import UsageError
from reliability.session.options import Options

_SAYS_THE_OUTCOME = ("report.md", "report.json", "report.html")


def report_folder(options: Options) -> Path:
    """What the run was asked for, or a folder named by the time."""
    stamp = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    return options.report_dir or _parent(options) / stamp


def make_way(options: Options) -> None:
    """Remove an earlier report: were this run killed, its verdict would be read as this run's.

    Raises:
        UsageError: No report can be written, which nobody should learn after the pictures are embedded.
    """
    folder = options.report_dir or _parent(options)
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        if options.report_dir is not None:
            for name in _SAYS_THE_OUTCOME:
                (folder / name).unlink(missing_ok=True)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Say of an error of the file system that it was the report that could not be written.

    Raises:
        UsageError: In place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            where=f"--report-dir, {folder}", what="the report cannot be written", got=error,
            next="name a folder in which files can be made, and see that its disk has room",
        ) from error  # fmt: skip


def _parent(options: Options) -> Path:
    return options.root / "reports"
