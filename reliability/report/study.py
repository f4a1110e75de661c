"""The study as Markdown: a verdict for each claim and model, with what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from reliability.report.escape import escape
from reliability.report.words import unit_of
from reliability.study.finding import Effect, Finding
from reliability.types import Outcome

_VERDICTS: tuple[Outcome, ...] = ("holds", "broken", "inconclusive")


def study_page(findings: Sequence[Finding], made_with: str) -> str:
    """The report.

    Args:
        findings: In the order of the study's claims.
        made_with: The command and settings, for whoever wants to repeat it.
    """
    sections = [_section(claim, [f for f in findings if f.claim == claim]) for claim in _in_order(findings)]
    return "\n\n".join([_head(findings, made_with), _overview(findings), *sections]) + "\n"


def _head(findings: Sequence[Finding], made_with: str) -> str:
    counts = Counter(finding.verdict for finding in findings)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS)
    return f"""# The study's claims on the models at hand

Claims of *Less Precise Can Be More Reliable* (arXiv 2509.21173), judged here: {summary}. Small models on rendered
pictures need not behave as the study's did, and a claim that is broken or inconclusive here is a result about these
models. Harm is positive when the candidate is worse; limits are one-sided, each at 95 %.

{escape(made_with)}"""


def _overview(findings: Sequence[Finding]) -> str:
    subjects = list(dict.fromkeys(f.subject for f in findings))
    titles = list(dict.fromkeys((f.claim, f.title) for f in findings))
    verdicts = {(f.claim, f.title, f.subject): f.verdict for f in findings}
    rows = [[c, escape(t), *(verdicts.get((c, t, s), "") for s in subjects)] for c, t in titles]
    return tabulate(rows, ["", "claim", *map(escape, subjects)], tablefmt="github", disable_numparse=True)


def _section(claim: str, findings: Sequence[Finding]) -> str:
    parts = [f"## Claim {claim}"]
    for title in dict.fromkeys(finding.title for finding in findings):
        parts.append(f"**{escape(title)}.**")
        for finding in (f for f in findings if f.title == title):
            parts.append(f"{escape(finding.subject)}: **{finding.verdict}**. {escape(finding.meaning)}")
            parts.append(_table(finding))
    return "\n\n".join(parts)


def _table(finding: Finding) -> str:
    rows = [*_rows("", finding.effects), *_rows("control: ", finding.controls)]
    return tabulate(rows, ["figure", "metric", "harm [limits]"], tablefmt="github", disable_numparse=True)


def _rows(prefix: str, effects: Iterable[Effect]) -> list[list[str]]:
    return [[escape(prefix + effect.name), effect.metric, _shown(effect)] for effect in effects]


def _shown(effect: Effect) -> str:
    unit = unit_of(effect.metric)
    numbers = [unit.factor * value for value in (effect.estimate, effect.lower, effect.upper)]
    first, low, high = (f"{number:+.{max(unit.digits, 2)}f}" for number in numbers)
    return f"{first}{unit.change} [{low}, {high}]"


def _in_order(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.claim for finding in findings))
