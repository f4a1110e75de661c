"""What opening a data set gives: its tasks, its pictures and its range-setting data."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reliability.data.prompt_file import PromptFile
from reliability.errors import UsageError
from reliability.types import CaptionedImages, ImageSource, Task


@dataclass(frozen=True)
class Request:
    """What somebody asked to open.

    Attributes:
        spec: The whole specification, such as ``"folder:DIR"``.
        location: What follows the colon; empty where nothing does.
        root: Where relative locations start and named benchmarks lie; None is the default.
        limit: Keeps that many pictures of every source, drawn by name.
        prompts: The user's own class names and templates.
        skip_unreadable: How many unreadable pictures may be left out.
    """

    spec: str
    location: str = ""
    root: Path | None = None
    limit: int | None = None
    prompts: PromptFile | None = None
    skip_unreadable: int = 0

    def path(self, what: str) -> Path:
        """The location as an absolute path.

        Raises:
            UsageError: There is no location; ``what`` says what is lacking.
        """
        if not self.location:
            raise UsageError(
                where="--data", what=f"{self.spec} needs a {what.lower()}", next=f"--data {self.spec}:{what}"
            )
        return Path(os.path.abspath((self.root or Path()) / self.location))


class RangeSetting(Protocol):
    """Draws pictures and captions that no evaluation task shows."""

    def __call__(self, count: int, draw: int) -> CaptionedImages:
        """``count`` pictures with captions; another draw gives other ones."""
        ...

    def identity(self, count: int, draw: int) -> Mapping[str, Any]:
        """What that draw depends on, found without decoding a picture."""
        ...


@dataclass(frozen=True)
class DataSet:
    """Tasks and the sources they read; opening one decodes nothing.

    Attributes:
        name: The specification it was opened by, such as ``"scenes"``.
        tasks: Task name to task.
        sources: Source name, as tasks use it, to source.
        range_setting: Draws data for quantizer ranges.
        notes: What a report must say about how the sets were made.
        missing: Named sets that belong to it and are not on this machine.
    """

    name: str
    tasks: Mapping[str, Task]
    sources: Mapping[str, ImageSource]
    range_setting: RangeSetting
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def task(self, name: str) -> Task:
        """The task of that name.

        Raises:
            UsageError: There is none; close names and all names are listed.
        """
        if name not in self.tasks:
            raise unknown("task", name, self.tasks, where=f"data {self.name}")
        return self.tasks[name]


def unknown(kind: str, got: str, known: Iterable[str], *, where: str) -> UsageError:
    """The error for a name that is not in a registry, with what was perhaps meant."""
    names = sorted(known)
    close = difflib.get_close_matches(got, names, n=3)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return UsageError(where=where, what=f"unknown {kind}", got=repr(got), next=f"{meant}known: {', '.join(names)}")
