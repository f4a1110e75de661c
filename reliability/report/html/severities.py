"""Charts of figures by severity of a corruption: the reference and every candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reliability.claims.records import CaseResult
from reliability.claims.wording import figure_name
from reliability.report.html.chart import REFERENCE, Chart, Row, axis, plot, series, tooltip
from reliability.report.words import Unit, unit_of


def severity_charts(model: str, results: Sequence[CaseResult]) -> Iterator[Chart]:
    """A chart for each corruption and figure that was judged at two severities or more."""
    lines: dict[tuple[str, str, str], dict[tuple[str, int], CaseResult]] = {}
    for result in results:
        role, _, rest = result.task.partition("/")
        corruption, _, severity = rest.rpartition("/")
        if role == "noise" and severity.isdecimal():
            key = (corruption, result.bound.metric, result.bound.score)
            lines.setdefault(key, {}).setdefault((result.recipe, int(severity)), result)
    for (corruption, metric, score), found in lines.items():
        if len({severity for _, severity in found}) > 1:
            yield _severity_chart(model, corruption.replace("_", " "), figure_name(metric, score), metric, found)


def _severity_chart(
    model: str, corruption: str, figure: str, metric: str, found: Mapping[tuple[str, int], CaseResult]
) -> Chart:
    unit = unit_of(metric)
    severities = sorted({severity for _, severity in found})
    recipes = list(dict.fromkeys(recipe for recipe, _ in found))
    before = {severity: result for (_, severity), result in found.items()}
    rows: list[Row] = [_severity_row(REFERENCE, severity, before[severity], unit) for severity in severities]
    rows += [_severity_row(recipe, severity, result, unit) for (recipe, severity), result in found.items()]
    title = figure + (f", {unit.level.strip()}" if unit.level else "")
    columns = {"series": "model", "x": "severity", "y": title}
    channels = {
        "x": axis("x", "severity", axis={"values": severities, "format": "d"}, scale={"zero": False, "padding": 12}),
        "y": axis("y", title, scale={"zero": False}),
        **series(recipes),
    }
    spec = plot(
        {"mark": {"type": "line", "point": {"filled": True, "size": 46}},
         "encoding": {**channels, "tooltip": tooltip(columns)}}
    )  # fmt: skip
    return Chart(
        "severity", f"{figure} under {corruption}", "",
        f"{figure} of {model} under {corruption}: " + "; ".join(_spoken(rows, columns["x"])) + ".",
        spec, rows, columns, list(found.values()),
    )  # fmt: skip


def _severity_row(name: str, severity: int, result: CaseResult, unit: Unit) -> Row:
    assert result.verdict is not None, "only judged cases are drawn"
    got = result.verdict.comparison
    value = (got.reference if name == REFERENCE else got.candidate).estimate
    return {"series": name, "x": severity, "y": round(unit.factor * value, 4)}


def _spoken(rows: Sequence[Row], what: str) -> Iterator[str]:
    """Each line's first and last point, in words."""
    for name in dict.fromkeys(row["series"] for row in rows):
        own = sorted((row for row in rows if row["series"] == name), key=lambda row: float(row["x"]))
        yield f"{name} {own[0]['y']:g} at {what} {own[0]['x']}, {own[-1]['y']:g} at {own[-1]['x']}"
