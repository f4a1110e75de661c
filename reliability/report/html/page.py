"""Write ``report.html``: the whole run in one file that needs nothing beside itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord, write_text
from reliability.report.coverage import SUMMARY, how_counted, proofs, summary_cells
from reliability.report.headline import candidates, headline, stopping
from reliability.report.html.chart import Chart
from reliability.report.html.pairs import pair_charts
from reliability.report.html.script import missing_extra
from reliability.report.html.severities import severity_charts
from reliability.report.html.strips import HEIGHT_PX, WIDTH_PX
from reliability.report.html.thumbnails import Pictures, flip_groups
from reliability.report.html.trade_offs import trade_off_charts
from reliability.report.html.views import SYMBOLS, case_views, matrix, overall, worst_gate
from reliability.report.tables import settings_rows
from reliability.report.words import glossary

PAGE = "report.html"


@dataclass(frozen=True)
class Section:
    """A heading and its charts.

    Attributes:
        key: Of the charts, and the heading's anchor.
        title: The heading.
        caption: How to read them.
        charts: Number on the page and chart, the largest harm first.
    """

    key: str
    title: str
    caption: str
    charts: tuple[tuple[int, Chart], ...]


SECTIONS = {
    "severity": ("Severity curves", "The figure under a corruption of growing severity, for FP32 and every candidate."),
    "pareto": ("Size and latency against harm", "To the left is cheaper and below is better; bars are the limits. "
               "Candidates that cost the same stand beside each other. The dashed line joins those that no other one "
               "beats in both."),
    "reliability": ("Reliability diagrams", "Accuracy against mean confidence in each bin: above the diagonal a model "
                    "is underconfident, below it overconfident. A mark's area grows with the pictures in its bin."),
    "roc": ("ROC curves", "Familiar against unfamiliar pictures accepted, over all cutoffs of a score."),
    "risk": ("Risk and coverage", "How many of its answers are wrong if a model only answers the pictures it is most "
             "confident of."),
    "spectra": ("Spectra", "Energy of the features by rank of their directions, in octaves; the strongest first."),
}  # fmt: skip
"""Key of a section to heading and caption, in the order of the page."""


def write_page(folder: Path, run: RunRecord, script: Callable[[], str], pictures: Pictures | None = None) -> Path:
    """Write ``report.html``.

    Args:
        folder: Of the run's report.
        run: The whole run.
        script: Gives the chart library's script; called only if there is something to draw.
        pictures: Gives pictures of a task by name, to show those whose answer changed.

    Raises:
        MissingExtraError: A package that pages are made with is not installed.
        RecordError: A record is damaged, or what it brought cannot be drawn.
    """
    path = folder / PAGE
    write_text(path, render(run, run.results(), script, pictures))
    return path


def render(
    run: RunRecord, results: Sequence[CaseResult], script: Callable[[], str], pictures: Pictures | None = None
) -> str:
    """The page as HTML; arguments as of :func:`write_page`, with the results of the run, checked."""
    charts = [*(chart for model in _models(results) for chart in _overviews(model, results)), *pair_charts(results)]
    sections = _sections(charts)
    groups, faults = flip_groups(results, pictures)
    own, found = _file("page.js"), proofs(results)
    library = script() if charts else ""
    page: str = _template().render(
        run=run, headline=headline(run, results), overall=overall(results, run.complete and not run.problems),
        candidates=candidates(results), matrix=matrix(results), stops=stopping(results), cases=case_views(results),
        symbols=SYMBOLS, worst_gate=worst_gate, sections=sections, groups=groups,
        notes=[*run.notes, *faults], proofs={key: summary_cells(proof) for key, proof in found.items()},
        summary=SUMMARY, how_counted=how_counted(found), settings=settings_rows(run.run), words=_words(results),
        strip_width=WIDTH_PX, strip_height=HEIGHT_PX, style=_file("style.css"), own_script=own, library=library,
        hashes=[_digest(text) for text in (own, library) if text], data=in_script(_payload(sections)),
    )  # fmt: skip
    return page


def in_script(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end that, or begin a comment.

    >>> in_script("</script><!--")
    '"\\\\u003c/script\\\\u003e\\\\u003c!--"'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _models(results: Sequence[CaseResult]) -> list[str]:
    return list(dict.fromkeys(result.model for result in results))


def _overviews(model: str, results: Sequence[CaseResult]) -> list[Chart]:
    own = [result for result in results if result.model == model and result.verdict is not None]
    return [*severity_charts(model, own), *trade_off_charts(own)]


def _sections(charts: Sequence[Chart]) -> list[Section]:
    found, number = [], 0
    for key, (title, caption) in SECTIONS.items():
        own = sorted((chart for chart in charts if chart.section == key), key=lambda chart: -chart.harm)
        if own:
            found.append(Section(key, title, caption, tuple(enumerate(own, start=number))))
            number += len(own)
    return found


def _payload(sections: Sequence[Section]) -> list[Mapping[str, Any]]:
    """What the page's script needs of each chart, by number."""
    return [
        {"spec": chart.spec, "rows": chart.rows, "columns": chart.columns, "facets": chart.facets}
        for section in sections
        for _, chart in section.charts
    ]


def _words(results: Sequence[CaseResult]) -> list[tuple[str, str]]:
    bounds = [result.bound for result in results]
    return glossary({bound.metric for bound in bounds}, {bound.score for bound in bounds})


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What the page's own policy knows a script by; any other one is refused by the browser."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("jinja2") from error
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("page.html.j2"))
