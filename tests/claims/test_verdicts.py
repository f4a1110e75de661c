"""What a comparison says about a bound; and that what is undefined never becomes a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.claims.bounds import Bound, Floor
from reliability.claims.judge import Verdict, check_floor, judge
from reliability.errors import ModelError, UndefinedMetricError
from reliability.types import Comparison, Interval

MakeBound = Callable[..., Bound]
MakeComparison = Callable[..., Comparison]


@pytest.mark.parametrize(
    ("relation", "margin", "limits", "outcome"),
    [
        ("not_worse", 0.01, (-0.002, 0.003, 0.008), "holds"),
        ("not_worse", 0.01, (0.0, 0.005, 0.01), "holds"),
        ("not_worse", 0.01, (0.0, 0.005, 0.010001), "inconclusive"),
        ("not_worse", 0.01, (0.01, 0.012, 0.02), "inconclusive"),
        ("not_worse", 0.01, (0.010001, 0.012, 0.02), "broken"),
        ("not_worse", 0.0, (0.0, 0.0, 0.0), "holds"),
        ("improves", 0.0, (-0.02, -0.01, -0.001), "holds"),
        ("improves", 0.0, (-0.02, -0.01, 0.0), "inconclusive"),
        ("improves", 0.0, (0.0, 0.0, 0.0), "broken"),
        ("improves", 0.0, (0.001, 0.01, 0.02), "broken"),
        ("equivalent", 0.01, (-0.01, 0.0, 0.01), "holds"),
        ("equivalent", 0.01, (-0.011, 0.0, 0.01), "inconclusive"),
        ("equivalent", 0.01, (-0.03, -0.02, -0.011), "broken"),
        ("equivalent", 0.01, (0.011, 0.02, 0.03), "broken"),
        ("differs", 0.0, (0.001, 0.01, 0.02), "holds"),
        ("differs", 0.0, (-0.001, 0.01, 0.02), "inconclusive"),
        ("differs", 0.0, (0.0, 0.0, 0.0), "broken"),
    ],
)
def test_relations_on_harm(
    make_bound: MakeBound, make_comparison: MakeComparison, relation: str, margin: float, limits: Any, outcome: str
) -> None:
    verdict = judge(make_bound(relation=relation, margin=margin), make_comparison(*limits))
    assert verdict.outcome == outcome
    assert bool(verdict) is (outcome == "holds")
    assert verdict.judged is verdict.comparison.harm


@pytest.mark.parametrize(
    ("relation", "margin", "outcome"),
    [
        ("at_least", 0.888, "holds"),
        ("at_least", 0.889, "inconclusive"),
        ("at_least", 0.909, "broken"),
        ("at_most", 0.908, "holds"),
        ("at_most", 0.907, "inconclusive"),
        ("at_most", 0.887, "broken"),
    ],
)
def test_relations_on_the_candidate_alone(
    make_bound: MakeBound, make_comparison: MakeComparison, relation: str, margin: float, outcome: str
) -> None:
    limits = Interval(0.898, 0.888, 0.908, 0.95, 0.006)
    verdict = judge(make_bound(relation=relation, margin=margin), make_comparison(candidate=limits))
    assert (verdict.outcome, verdict.judged) == (outcome, limits)


def broken_interval(name: str, field: str, value: float) -> Callable[[Comparison], Comparison]:
    return lambda c: replace(c, **{name: replace(getattr(c, name), **{field: value})})


@pytest.mark.parametrize("name", ["reference", "candidate", "harm"])
@pytest.mark.parametrize("field", ["estimate", "lower", "upper", "standard_error"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_never_a_verdict(
    make_bound: MakeBound, make_comparison: MakeComparison, name: str, field: str, value: float
) -> None:
    for relation in ("not_worse", "differs", "at_least"):
        with pytest.raises(UndefinedMetricError, match="not finite"):
            judge(make_bound(relation=relation), broken_interval(name, field, value)(make_comparison()))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (broken_interval("harm", "upper", -0.5), "wrong order"),
        (broken_interval("reference", "lower", 0.95), "wrong order"),
        (broken_interval("harm", "standard_error", -0.1), "negative"),
        (broken_interval("harm", "lower", 0.0025), "outside its own limits"),
        (broken_interval("harm", "level", 0.9), "at level 0.95"),
        (broken_interval("harm", "level", math.nan), "at level 0.95"),
        (broken_interval("reference", "estimate", 0.905), "not the difference"),
        (lambda c: replace(c, n=999), "too few images"),
        (lambda c: replace(c, metric="ece"), "the bound is about top1"),
        (lambda c: replace(c, score="mcm"), "the bound is about top1"),
    ],
)
def test_a_contradictory_comparison_is_never_a_verdict(
    make_bound: MakeBound, make_comparison: MakeComparison, damage: Callable[[Comparison], Comparison], told: str
) -> None:
    with pytest.raises(UndefinedMetricError, match=told) as caught:
        judge(make_bound(), damage(make_comparison()))
    assert "thresholds/a.toml, bound 7" in caught.value.where


def test_a_model_against_itself_holds_with_harm_exactly_zero(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    for relation in ("not_worse", "equivalent"):
        assert judge(make_bound(relation=relation, margin=0.0), make_comparison(0.0, 0.0, 0.0))


def test_limits_of_a_biased_metric_may_miss_an_estimate_that_is_not_judged(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    # Resampled calibration errors lie above the plug-in estimate of a model that has none.
    shown = broken_interval("reference", "lower", 0.905)(make_comparison())
    assert judge(make_bound(), shown)


@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 1))
def test_a_verdict_is_true_only_inside_the_margin(harm: float, below: float, above: float, margin: float) -> None:
    bound = Bound("c", None, "m", "", "not_worse", margin, True, "r", 0.95, 1, "f", 1)  # type: ignore[arg-type]
    flat = Interval(0.0, 0.0, 0.0, 0.95, 0.0)
    interval = Interval(harm, harm - below, harm + above, 0.95, 0.1)
    candidate = Interval(harm, harm, harm, 0.95, 0.0)
    verdict = judge(bound, Comparison("m", "", flat, candidate, interval, 10, 0))
    assert bool(verdict) == (harm + above <= margin)


def explained(make_bound: MakeBound, comparison: Comparison, **changes: Any) -> str:
    return judge(make_bound(**changes), comparison, "accuracy[clean-w4a4-id]").explain()


def test_a_broken_bound_is_explained(make_bound: MakeBound, make_comparison: MakeComparison) -> None:
    text = explained(make_bound, make_comparison(0.0138, 0.0172, 0.0206))
    assert text.splitlines() == [
        "broken: accuracy[clean-w4a4-id]",
        "  top1     harm 0.0172   95 % limits 0.0138 to 0.0206   4,000 images, paired",
        "  allowed  at most 0.0100   thresholds/a.toml, bound 7: three times the largest drop",
        "  reference 0.9000, candidate 0.8828, seed 0",
        '  next: reliability explain "accuracy[clean-w4a4-id]"',
    ]


def test_an_inconclusive_bound_says_so_and_what_would_settle_it(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    comparison = make_comparison(0.002, 0.007, 0.012)
    verdict = judge(make_bound(), comparison)
    assert verdict.settles_at_n == math.floor(4000 * (0.005 / 0.003) ** 2) + 1
    text = verdict.explain()
    assert text.startswith("inconclusive: accuracy")
    assert "about 12,000 images would settle it" in text
    assert f"4,000 images show an effect of {verdict.smallest_effect:.4f} with power 0.8" in text
    assert "next:" not in text


def test_an_estimate_on_the_margin_is_not_settled_by_any_number(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    verdict = judge(make_bound(margin=0.007), make_comparison(0.002, 0.007, 0.012))
    assert verdict.settles_at_n is None
    assert "no number of images would settle it" in verdict.explain()


def test_a_limit_just_over_the_margin_does_not_look_equal_to_it(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    text = explained(make_bound, make_comparison(0.002, 0.006, 0.01004))
    assert "to 0.01004" in text
    assert "at most 0.01000" in text


@pytest.mark.parametrize(
    ("relation", "margin", "words"),
    [
        ("improves", 0.0, "below 0.0000"),
        ("equivalent", 0.01, "within ±0.0100"),
        ("at_least", 0.95, "at least 0.9500"),
        ("at_most", 0.8, "at most 0.8000"),
        ("differs", 0.0, "any but 0.0000"),
    ],
)
def test_every_relation_is_put_into_words(
    make_bound: MakeBound, make_comparison: MakeComparison, relation: str, margin: float, words: str
) -> None:
    text = explained(make_bound, make_comparison(), relation=relation, margin=margin)
    assert f"allowed  {words}" in text
    assert ("candidate 0.8980   95 % limits" in text) == (relation in ("at_least", "at_most"))


def test_a_reference_below_its_floor_is_an_error_and_on_it_is_not() -> None:
    floor = Floor(("*",), "id", "top1", "", "at_least", 0.8, "measured 0.86", 100, "a.toml", 2)
    ceiling = replace(floor, relation="at_most", metric="ece", limit=0.05)
    check_floor(floor, 0.8, 100)
    check_floor(ceiling, 0.05, 100)
    with pytest.raises(ModelError, match=r"0\.7999 on 100 images, must be at least 0\.8000"):
        check_floor(floor, 0.7999, 100)
    with pytest.raises(ModelError, match="must be at most"):
        check_floor(ceiling, 0.06, 100)
    for value, n in ((math.nan, 100), (math.inf, 100), (0.9, 99), (0.9, 0)):
        with pytest.raises(UndefinedMetricError):
            check_floor(floor, value, n)


def test_a_verdict_is_frozen(make_bound: MakeBound, make_comparison: MakeComparison) -> None:
    verdict: Verdict = judge(make_bound(), make_comparison())
    with pytest.raises(AttributeError):
        verdict.outcome = "holds"  # type: ignore[misc]
