"""Charts hold the figures of their cases, once each, and compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord
from reliability.report.html.chart import Chart, series
from reliability.report.html.pairs import pair_charts
from reliability.report.html.severities import severity_charts
from reliability.report.html.trade_offs import trade_off_charts

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]

GRID = [0.0, 0.05, 1.0]
ROC = {"roc": {"false_acceptance": GRID, "reference": [0.1, 0.8, 1.0], "candidate": [0.0, 0.7, 1.0]}}
RISK = {"risk_coverage": {"coverage": [0.5, 0.8, 1.0], "reference": [0, 0.1, 0.2], "candidate": [0, 0.2, 0.3]}}
SPECTRUM = {
    "spectrum": {
        "last_rank": [1, 2, 4], "reference": [0.6, 0.4, 0.0], "candidate": [0.5, 0.4, 0.1],
        "noise_to_signal": [0.01, 0.1],
    }
}  # fmt: skip


@pytest.fixture
def results(make_run: MakeRun) -> Callable[..., list[CaseResult]]:
    return lambda *cases: make_run(*cases).results()


def sized(make_case: MakeCase, recipe: str, reference: float = 0.9, harm: float = 0.0) -> dict[str, Any]:
    del reference
    return make_case(harm, recipe=recipe, metric="stored_mib", relation="not_worse", margin=1.0)


def test_a_curve_that_several_cases_brought_is_drawn_once_beside_its_area(
    make_case: MakeCase, results: Callable[..., Any]
) -> None:
    cases = [make_case(metric=metric, score="mcm", task="ood/far", details=ROC) for metric in ("fpr95", "auroc")]
    other = make_case(metric="auroc", score="msp", task="ood/far", details=ROC)
    charts = pair_charts(results(*cases, other))
    assert [chart.subtitle.split(" 90")[0] for chart in charts] == ["auroc (mcm)", "auroc (msp)"]
    assert charts[0].title == "w8a8-minmax on ood/far by mcm"


def test_rows_and_words_are_the_figures_that_came(make_case: MakeCase, results: Callable[..., Any], bins: Any) -> None:
    cases = [make_case(metric="auroc", score="mcm", details=ROC), make_case(metric="ece", details={**bins, **RISK})]
    found = {chart.section: chart for chart in pair_charts(results(*cases))}
    assert {"series": "candidate", "x": 0.05, "y": 0.7} in found["roc"].rows
    assert "with the reference 80.0 % and with the candidate 70.0 %" in found["roc"].description
    assert "the 80 % it is most confident of, the reference gets 10.0 % wrong" in found["risk"].description
    assert "underconfident" in found["reliability"].description
    # The first bin is empty, so neither model has a mark there.
    assert len(found["reliability"].rows) == 2 * 14


def test_a_spectrum_leaves_out_what_a_logarithm_has_no_place_for(make_case: MakeCase, results: Any) -> None:
    (chart,) = pair_charts(results(make_case(details=SPECTRUM)))
    assert [row["x"] for row in chart.rows if row["series"] == "reference"] == [1, 2]
    assert "20.0 dB above its noise at rank 1 and 10.0 dB at rank 2" in chart.description


def test_severities_make_a_curve_for_each_figure_and_corruption(make_case: MakeCase, results: Any) -> None:
    cases = [
        make_case(0.01 * level, recipe=recipe, task=f"noise/{noise}/{level}", margin=0.1)
        for noise in ("fog", "snow_fall") for level in (1, 5) for recipe in ("w8a8", "w4a8")
    ]  # fmt: skip
    lonely = make_case(task="noise/frost/3")
    charts = list(severity_charts("scenes-clean", results(*cases, lonely)))
    assert [chart.title for chart in charts] == ["top1 under fog", "top1 under snow fall"]
    values = {(row["series"], row["x"]): row["y"] for row in charts[0].rows}
    assert values[("reference", 1)] == 90.0
    assert values[("w4a8", 5)] == pytest.approx(85.0)
    assert len(values) == 6


def test_harm_is_held_against_what_is_known_to_cost(make_case: MakeCase, results: Any) -> None:
    cheap, dear, beaten = (make_case(harm, recipe=name) for name, harm in (("a", 0.02), ("b", 0.001), ("c", 0.03)))
    sizes = [sized(make_case, "a", harm=-0.8), sized(make_case, "b", harm=-0.5), sized(make_case, "c", harm=-0.8)]
    (chart,) = trade_off_charts(results(cheap, dear, beaten, *sizes))
    rows = {row["recipe"]: row for row in chart.rows}
    assert (rows["a"]["x"], rows["b"]["x"], rows["reference"]["x"]) == pytest.approx((0.1, 0.4, 0.9))
    assert (rows["a"]["y"], rows["reference"]["y"]) == (2.0, 0.0)
    assert {name for name, row in rows.items() if row["best"]} == {"a", "b", "reference"}
    assert rows["a"]["at"] != rows["c"]["at"], "equal costs stand beside each other"
    assert "a (0.1, 2), b (0.4, 0.1), reference (0.9, 0)" in chart.description


def test_without_a_cost_nothing_is_held_against_it(make_case: MakeCase, results: Any) -> None:
    assert list(trade_off_charts(results(make_case(), make_case(task="id2")))) == []


def test_many_candidates_are_told_apart_by_colour_or_dash() -> None:
    looks = series([f"r{i}" for i in range(21)])
    pairs = zip(looks["color"]["scale"]["range"], map(tuple, looks["strokeDash"]["scale"]["range"]), strict=True)
    assert len(set(pairs)) == 22


def every_kind(make_case: MakeCase, results: Any, bins: Any) -> list[Chart]:
    cases = [
        make_case(metric="ece", details={**bins, **RISK}), make_case(metric="auroc", score="mcm", details=ROC),
        make_case(task="id2", details=SPECTRUM),
    ]  # fmt: skip
    noise = [make_case(0.001 * level, task=f"noise/fog/{level}") for level in (1, 3)]
    traded = [make_case(0.02, recipe="a"), sized(make_case, "a", harm=-0.5)]
    return [
        *pair_charts(results(*cases)), *severity_charts("m", results(*noise)), *trade_off_charts(results(*traded)),
    ]  # fmt: skip


def test_every_kind_of_chart_compiles(make_case: MakeCase, results: Any, bins: Any) -> None:
    compiler = pytest.importorskip("vl_convert")
    charts = every_kind(make_case, results, bins)
    assert {chart.section for chart in charts} == {"reliability", "risk", "roc", "spectra", "severity", "pareto"}
    for chart in charts:
        spec = {**chart.spec, "data": {"values": list(chart.rows)}, "width": 300}
        compiled = compiler.vegalite_to_vega(spec)
        assert {mark["type"] for mark in compiled["marks"]}, chart.section


def test_what_is_shown_can_be_filtered_by(make_case: MakeCase, results: Any, bins: Any) -> None:
    for chart in every_kind(make_case, results, bins):
        assert set(chart.facets) == {"claim", "model", "recipe", "task", "outcome", "gate"}
        assert all(chart.facets.values())
