"""The study as Markdown: a verdict for each claim and model, with what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tabulate import tabulate

from reliability.report.escape import escape
from reliability.report.figures import Picture
from reliability.report.study_words import ASKED, shown
from reliability.study.finding import NOT_APPLICABLE, Effect, Finding, Study, Verdict

FIGURES = "figures"
_VERDICTS: tuple[Verdict, ...] = ("holds", "broken", "inconclusive", NOT_APPLICABLE)
_SHORT: dict[Verdict | str, str] = {"holds": "**holds**", NOT_APPLICABLE: "n/a", "": ""}


def write_report(out: Path, study: Study) -> Path:
    """Write ``report.md`` and its figures below a folder; returns the report's path."""
    from reliability.report.study_figures import write_figures

    out.mkdir(parents=True, exist_ok=True)
    pictures = write_figures(out / FIGURES, study)
    path = out / "report.md"
    path.write_text(study_page(study, pictures), encoding="utf-8")
    return path


def study_page(study: Study, pictures: Sequence[Picture] = ()) -> str:
    """The report.

    Args:
        study: Findings in the order of the study's claims.
        pictures: Written below ``figures/``.
    """
    claims = dict.fromkeys(finding.claim for finding in study.findings)
    sections = [_section(claim, [f for f in study.findings if f.claim == claim]) for claim in claims]
    parts = [head(study), "## Verdicts", overview(study.findings), _gallery(pictures), *sections]
    return "\n\n".join(part for part in parts if part) + "\n"


def head(study: Study) -> str:
    """What this is, how it came out in numbers, and how it was made."""
    counts = Counter(finding.verdict for finding in study.findings)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS)
    return f"""# The study's claims on the models at hand

Claims of *Less Precise Can Be More Reliable* (arXiv 2509.21173), judged here: {summary}.

These are small models on rendered pictures. They need not behave as the study's did: a claim that is broken or
inconclusive here is a result about these models and these numbers of pictures, and one that holds is no more than that
either. Harm is positive when the candidate is worse, in the metric's own unit (where a metric has no better or worse:
the candidate less FP32); limits are one-sided, each at 95 %. Claims that search for any recipe, shift or corruption are
corrected for that by Holm's method; the others are not corrected for one another, so that of twenty claims about
nothing one would hold or break by chance. "n/a" says that a model's architecture refuses the recipe, or that the plan
does not hold it; the section says which.

{escape(study.made_with)}"""


def overview(findings: Sequence[Finding]) -> str:
    """One row for each claim, one column for each model."""
    subjects = list(dict.fromkeys(f.subject for f in findings))
    verdicts = {(f.claim, f.title, f.subject): f.verdict for f in findings}
    rows = [
        [claim, escape(title), *(_short(verdicts.get((claim, title, subject), "")) for subject in subjects)]
        for claim, title in dict.fromkeys((f.claim, f.title) for f in findings)
    ]
    return table(["", "claim", *map(escape, subjects)], rows)


def _short(verdict: str) -> str:
    return _SHORT.get(verdict, verdict)


def _gallery(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    shown_ = [f"![{escape(p.title)}]({FIGURES}/{p.file})\n\n*{escape(p.title)}.* {escape(p.caption)}" for p in pictures]
    return "\n\n".join(["## Figures", *shown_])


def _section(claim: str, findings: Sequence[Finding]) -> str:
    parts = [f"## {heading(claim)}", ASKED.get(claim, "")]
    for title in dict.fromkeys(finding.title for finding in findings):
        own = [finding for finding in findings if finding.title == title]
        parts += [f"### {escape(title)}", _full_table(own), meanings(own)]
    return "\n\n".join(part for part in parts if part)


def heading(claim: str) -> str:
    """What a claim's section is called."""
    return "Controls of the whole" if claim == "C" else f"Claim {claim}"


def _full_table(findings: Iterable[Finding]) -> str:
    rows = [row for finding in findings for row in _rows(finding)]
    return table(["model", "verdict", "figure", "metric", "harm [limits]"], rows) if rows else ""


def _rows(finding: Finding) -> list[list[str]]:
    effects = [*(("", e) for e in finding.judged.effects), *(("control: ", e) for e in finding.judged.controls)]
    first = [escape(finding.subject), finding.verdict]
    return [
        [*(first if number == 0 else ["", ""]), escape(prefix + effect.name), effect.metric, shown(effect)]
        for number, (prefix, effect) in enumerate(effects)
    ]


def meanings(findings: Sequence[Finding]) -> str:
    """What it means for someone shipping, once for all models of which the same is said."""
    by_text: dict[str, list[str]] = {}
    for finding in findings:
        by_text.setdefault(finding.judged.meaning, []).append(finding.subject)
    return "\n".join(f"- {escape(', '.join(subjects))}: {escape(text)}" for text, subjects in by_text.items())


def main_row(finding: Finding) -> list[str]:
    """Verdict, what it rests on most, and its first control, in short."""
    return [
        escape(finding.subject), _short(finding.verdict),
        *_figure(finding.main), *_figure(next(iter(finding.judged.controls), None)),
    ]  # fmt: skip


def _figure(effect: Effect | None) -> list[str]:
    return ["", ""] if effect is None else [escape(f"{effect.name}: {effect.metric}"), shown(effect)]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that GitHub shows."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
