"""Write a run's folder: ``report.md``, ``report.json`` and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord, write_json, write_text
from reliability.report.cells import sentence
from reliability.report.coverage import coverage_section, proofs
from reliability.report.escape import block, code, escape
from reliability.report.figures import Picture, write_figures
from reliability.report.headline import WORST_FIRST, candidates, headline, is_lenient, stopping
from reliability.report.tables import candidate_table, glossary_table, settings_table, verdict_table
from reliability.report.words import glossary


def write_report(folder: Path, run: RunRecord) -> Path:
    """Write ``report.json``, the figures and ``report.md``, in this order.

    Args:
        folder: Created if need be; files of an earlier report in it are replaced.
        run: The whole run.

    Returns:
        The path of ``report.md``.

    Raises:
        RecordError: A record is damaged or contradicts itself; nothing is written then.
    """
    results = run.results()
    write_json(folder / "report.json", run)
    pictures = write_figures(folder / "figures", results)
    path = folder / "report.md"
    write_text(path, render(run, results, pictures))
    return path


def render(run: RunRecord, results: Sequence[CaseResult], pictures: Sequence[Picture] = ()) -> str:
    """The report as Markdown; ``results`` are those of the run, checked."""
    gates = [result for result in results if result.bound.gate]
    observed = [result for result in results if not result.bound.gate]
    parts = [
        f"# Reliability of quantized models\n\n**{headline(run, results)}**",
        _partial(run),
        _section("Problems", _bullets(run.problems)),
        _section(
            "Candidates", candidate_table(candidates(results), run.complete and not run.problems, is_lenient(run))
        ),
        _section("Why", _stops(results)),
        _section("Gates", _by_model(gates)),
        _section("What ran quantized", coverage_section(proofs(results))),
        *(_section(picture.title, _picture(picture)) for picture in pictures),
        _section("Observed, not gated", _by_model(observed)),
        _section("Notes", _bullets(run.notes)),
        _section("Settings", settings_table(run.run)),
        _section("Words", glossary_table(_words(results))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {escape(title)}\n\n{body}" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _partial(run: RunRecord) -> str:
    if run.complete:
        return ""
    return (
        "> [!WARNING]\n"
        "> **Partial run.** Not everything that the threshold file asks for was judged. "
        "What follows says nothing about the rest, and is no ground to ship."
    )


def _stops(results: Sequence[CaseResult]) -> str:
    """Every gate that does not hold and every error, explained, under a heading per outcome."""
    found = stopping(results)
    groups = [(outcome, [r for r in found if r.outcome == outcome]) for outcome in WORST_FIRST]
    headed = [f"### {outcome.capitalize()} ({len(group)})\n\n{_explained(group)}" for outcome, group in groups if group]
    return "\n\n".join(headed)


def _explained(results: Sequence[CaseResult]) -> str:
    return "\n".join(_item(result) for result in results)


def _item(result: CaseResult) -> str:
    bound = result.bound
    why = block(result.error) if result.error is not None else escape(sentence(result))
    command = f'reliability explain "{result.case}"'
    paragraphs = [
        f"**{code(result.case)}**" + ("" if bound.gate else " (observed)"),
        why,
        f"{escape(bound.place)}: {escape(bound.reason)}  \nNext: {code(command)}",
    ]
    return "- " + indent("\n\n".join(paragraphs), "  ").lstrip()


def _by_model(results: Sequence[CaseResult]) -> str:
    if not results:
        return ""
    levels = " or ".join(f"{100 * level:g} %" for level in sorted({result.bound.level for result in results}))
    how = f"Harm is positive where the candidate is worse; in brackets its one-sided limits, each at {levels}."
    models = dict.fromkeys(result.model for result in results)
    tables = [f"### {escape(model)}\n\n{verdict_table([r for r in results if r.model == model])}" for model in models]
    return "\n\n".join([how, *tables])


def _picture(picture: Picture) -> str:
    return f"![{escape(picture.title)}](figures/{picture.file})\n\n{escape(picture.caption)}"


def _words(results: Sequence[CaseResult]) -> list[tuple[str, str]]:
    bounds = [result.bound for result in results]
    return glossary({bound.metric for bound in bounds}, {bound.score for bound in bounds})
