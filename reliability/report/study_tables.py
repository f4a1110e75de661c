"""The study's tables, short, and its figures, small, in a page that people keep under version control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reliability.errors import UsageError
from reliability.report.escape import escape
from reliability.report.study import heading, main_row, meanings, overview, table
from reliability.report.study_words import ASKED
from reliability.study.finding import Finding, Study

BEGIN, END = "<!-- written by reliability study --tables: begin -->", "<!-- end -->"
PICTURES = "pictures"
_PREFIX = "study-"
_COLOURS = 256


def write_tables(page: Path, study: Study) -> Path:
    """Put tables between the page's two marks, and figures beside it as ``pictures/study-*.png``.

    Args:
        page: Markdown with the marks ``BEGIN`` and ``END``; the rest of it stays as it is.
        study: What was found.

    Raises:
        UsageError: The page is not there, or lacks a mark.
    """
    from reliability.report.study_figures import write_figures

    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(
            where=str(page), what="the page has no place for tables", got="no marks" if text else "no such page",
            next=f"write the lines {BEGIN} and {END} where the tables belong",
        )  # fmt: skip
    pictures = write_figures(page.parent / PICTURES, study, prefix=_PREFIX)
    for picture in pictures:
        _make_small(page.parent / PICTURES / picture.file)
    shown = [f"![{escape(p.title)}]({PICTURES}/{p.file})\n\n*{escape(p.title)}.* {escape(p.caption)}" for p in pictures]
    parts = [escape(study.made_with), overview(study.findings), *_sections(study.findings), "## Figures", *shown]
    page.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8")
    return page


def _make_small(path: Path) -> None:
    """A palette in place of full colour: a third of the bytes, and nothing a reader would see."""
    from PIL import Image

    with Image.open(path) as picture:
        # Rare colours, such as those of a legend, must stay what they are.
        small = picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    small.save(path, optimize=True)


def _sections(findings: Sequence[Finding]) -> list[str]:
    parts = []
    for claim in dict.fromkeys(finding.claim for finding in findings):
        parts += [f"## {heading(claim)}", ASKED.get(claim, "")]
        for title in dict.fromkeys(f.title for f in findings if f.claim == claim):
            own = [f for f in findings if (f.claim, f.title) == (claim, title)]
            parts += [f"**{escape(title)}**", _table(own), meanings(own)]
    return [part for part in parts if part]


def _table(findings: Sequence[Finding]) -> str:
    judged = [main_row(finding) for finding in findings if finding.main is not None]
    return table(["model", "verdict", "figure", "harm [limits]", "control", "harm [limits]"], judged) if judged else ""
