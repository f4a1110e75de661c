"""Commands as README and docs/ show them: those of their shell blocks, a line each."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.S | re.M)
_MODULE = re.compile(r"`python -m ([\w.]+)([^`]*)`")


@dataclass(frozen=True)
class Documented:
    """One command and the page it stands on."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """The command without its comment, and without an ellipsis that stands for options of the reader's own."""
        words = shlex.split(self.text.replace("VENV/bin/", ""), comments=True)
        return [word for word in words if word != "..."]


def pages() -> list[Path]:
    """README, CONTRIBUTING and every page under docs/."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def shell_commands() -> list[Documented]:
    """Every command of every shell block; continued lines are one, lines that are all comment none."""
    found = []
    for page in pages():
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = (Documented(page.name, line) for line in block.replace("\\\n", " ").splitlines())
            found += [line for line in lines if line.words]
    return list(dict.fromkeys(found))


def modules() -> list[tuple[str, str, list[str]]]:
    """Page, module and arguments of each ``python -m`` in running text."""
    return [
        (page.name, name, shlex.split(rest))
        for page in pages()
        for name, rest in _MODULE.findall(page.read_text(encoding="utf-8").replace("\n", " "))
    ]
