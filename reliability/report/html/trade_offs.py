"""Charts of harm against what a candidate costs: size, or latency where that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from reliability.claims.records import CaseResult
from reliability.claims.wording import figure_name
from reliability.report.coverage import proofs
from reliability.report.html.chart import REFERENCE, Chart, Row, axis, plot, series, tooltip
from reliability.report.words import Unit, unit_of

LATENCIES = ("latency_ms", "latency_ratio")
KEY_FIGURES = (
    ("top1", "", "id"), ("ece", "", "id"), ("auroc", "mcm", "ood/*"), ("mean_corruption_accuracy", "", "*"),
    ("worst_group_accuracy", "", "*"), ("top1", "", "shift/*"),
)  # fmt: skip
"""Metric, score and task whose harm is held against size and latency: the first that a run has of each."""

_SHAPES = {"holds": "circle", "inconclusive": "diamond", "broken": "cross", REFERENCE: "square"}
_ALIKE, _STEP, _WIDEST = 0.02, 0.035, 0.3  # of the span of costs


def trade_off_charts(results: Sequence[CaseResult]) -> Iterator[Chart]:
    """For one model's judged cases: each key figure against each cost that is known of a candidate."""
    costs = [("size", "size, MiB", _sizes(results))]
    costs += [(name.replace("_", " "), _with_unit(name), _measured(results, name)) for name in LATENCIES]
    for name, title, cost in costs:
        for pattern in KEY_FIGURES if len(cost) > 1 else ():
            cases = _of_figure(results, pattern)
            if points := [case for case in cases if case.recipe in cost]:
                yield _trade_off(name, title, cost, points)


def _sizes(results: Sequence[CaseResult]) -> dict[str, float]:
    """MiB of each recipe with its codes packed, and of the reference; stored sizes where nothing was counted."""
    found: dict[str, float] = {}
    for (_, recipe), proof in proofs(results).items():
        found |= {recipe: proof.size_mib, REFERENCE: proof.float_size_mib}
    return found or _measured(results, "stored_mib")


def _measured(results: Sequence[CaseResult], metric: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for result in results:
        if result.bound.metric == metric and result.verdict is not None:
            got = result.verdict.comparison
            found |= {result.recipe: got.candidate.estimate, REFERENCE: got.reference.estimate}
    return found


def _of_figure(results: Sequence[CaseResult], pattern: tuple[str, str, str]) -> list[CaseResult]:
    """The cases of the first figure that fits, one of each recipe."""
    fitting = [r for r in results if all(map(fnmatchcase, (r.bound.metric, r.bound.score, r.task), pattern))]
    if not fitting:
        return []
    first = _figure_of(fitting[0])
    return list({r.recipe: r for r in reversed(fitting) if _figure_of(r) == first}.values())[::-1]


def _figure_of(result: CaseResult) -> tuple[str, str, str]:
    return result.bound.metric, result.bound.score, result.task


def _trade_off(cost_name: str, cost_title: str, cost: Mapping[str, float], cases: Sequence[CaseResult]) -> Chart:
    unit = unit_of(cases[0].bound.metric)
    figure, task = figure_name(cases[0].bound.metric, cases[0].bound.score), cases[0].task
    rows: list[dict[str, Any]] = [_point(case, cost[case.recipe], unit) for case in cases]
    rows.append({"recipe": REFERENCE, "x": round(cost[REFERENCE], 4), "y": 0.0, "low": 0.0, "high": 0.0,
                 "outcome": REFERENCE})  # fmt: skip
    for row in rows:
        row["best"] = not any(_better(other, row) for other in rows)
    _side_by_side(rows)
    title = f"harm, {unit.change.strip()}" if unit.change else "harm"
    columns = {"recipe": "recipe", "x": cost_title, "y": title, "low": "lower limit", "high": "upper limit",
               "outcome": "verdict"}  # fmt: skip
    best = sorted((row for row in rows if row["best"]), key=lambda row: float(row["x"]))
    spoken = ", ".join(f"{row['recipe']} ({row['x']:g}, {row['y']:g})" for row in best)
    return Chart(
        "pareto", f"{figure} on {task} against {cost_name}", "",
        f"Harm of {figure} on {task} against {cost_title}. None is both cheaper and less harmful than: {spoken}.",
        _trade_off_spec([case.recipe for case in cases], _outcomes(rows), cost_title, title, columns), rows, columns,
        cases,
    )  # fmt: skip


def _point(case: CaseResult, cost: float, unit: Unit) -> dict[str, Any]:
    assert case.verdict is not None, "only judged cases are drawn"
    harm = case.verdict.comparison.harm
    values = {"y": harm.estimate, "low": harm.lower, "high": harm.upper}
    shown = {name: round(unit.factor * value, 4) for name, value in values.items()}
    return {"recipe": case.recipe, "x": round(cost, 4), **shown, "outcome": case.outcome}


def _better(one: Row, other: Row) -> bool:
    """Whether one costs and harms no more than another, and one of the two less."""
    return one["x"] <= other["x"] and one["y"] <= other["y"] and (one["x"], one["y"]) != (other["x"], other["y"])


def _outcomes(rows: Sequence[Row]) -> list[str]:
    return [name for name in _SHAPES if any(row["outcome"] == name for row in rows)]


def _side_by_side(rows: Sequence[dict[str, Any]]) -> None:
    """Give rows of much the same cost places beside each other, so that none hides another."""
    costs = [float(row["x"]) for row in rows]
    span = max(costs) - min(costs) or max(abs(max(costs)), 1.0)
    for bundle in _bundles(sorted(rows, key=lambda row: float(row["x"])), _ALIKE * span):
        step = min(_STEP, _WIDEST / len(bundle)) * span
        for place, row in enumerate(bundle):
            row["at"] = round(float(row["x"]) + (place - (len(bundle) - 1) / 2) * step, 5)


def _bundles(rows: Sequence[dict[str, Any]], reach: float) -> list[list[dict[str, Any]]]:
    bundles: list[list[dict[str, Any]]] = []
    for row in rows:
        if bundles and row["x"] - bundles[-1][0]["x"] <= reach:
            bundles[-1].append(row)
        else:
            bundles.append([row])
    return bundles


def _trade_off_spec(
    recipes: Sequence[str], outcomes: Sequence[str], x_title: str, y_title: str, columns: Mapping[str, str]
) -> dict[str, Any]:
    x, y = axis("at", x_title, scale={"zero": False, "padding": 24}), axis("y", y_title)
    colour = series(recipes, "recipe")["color"]
    shapes = {"scale": {"domain": outcomes, "range": [_SHAPES[name] for name in outcomes]}, "sort": None}
    frontier = {
        "transform": [{"filter": "datum.best"}],
        "mark": {"type": "line", "color": "$muted", "strokeDash": [3, 3], "strokeWidth": 1},
        "encoding": {"x": x, "y": y, "order": {"field": "x", "type": "quantitative"}},
    }
    limits = {
        "mark": {"type": "rule", "opacity": 0.6},
        "encoding": {"x": x, "y": axis("low", y_title), "y2": {"field": "high"}, "color": colour},
    }
    shown = {"orient": "bottom", "columns": 4, "values": [name for name in outcomes if name != REFERENCE]}
    shape = {"field": "outcome", "type": "nominal", "title": None, "legend": shown, **shapes}
    points = {
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "shape": shape, "tooltip": tooltip(columns)},
    }
    none = {"data": {"values": [{"y": 0}]}, "mark": {"type": "rule", "color": "$rule"}, "encoding": {"y": y}}
    return plot(none, frontier, limits, points)


def _with_unit(metric: str) -> str:
    suffix = unit_of(metric).level.strip()
    name = metric.replace("_", " ")
    return f"{name}, {suffix}" if suffix else name
