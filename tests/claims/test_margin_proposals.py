"""A proposed margin leaves the stated room, says what it rests on, and loosens nothing without a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reliability.claims.bounds import Bound, Proposed
from reliability.claims.judge import judge
from reliability.claims.proposal import Measured, Terms, propose
from reliability.types import Comparison, Interval

MakeBound = Callable[..., Bound]
MakeComparison = Callable[..., Comparison]

BASIS = Proposed("scenes:seed=1", ("zoo:a",), ("w8a8-minmax",), 3, 1.5, None, "")
STRICT, FRESH, LOOSE = Terms(BASIS), Terms(BASIS, fresh=True), Terms(BASIS, loosen="the phone needs 4 bits")


@pytest.fixture
def figures(make_comparison: MakeComparison) -> Callable[..., list[Measured]]:
    """One figure per limit of harm, each of a draw of its own, with a standard error that shows nothing small."""

    def make(bound: Bound, *limits: float, error: float = 1e-5, **changes: Any) -> list[Measured]:
        found = []
        for draw, upper in enumerate(limits):
            comparison = make_comparison(upper - 0.002, upper - 0.001, upper, **changes)
            harm = replace(comparison.harm, standard_error=error)
            candidate = replace(comparison.candidate, standard_error=error)
            comparison = replace(comparison, harm=harm, candidate=candidate)
            found.append(Measured(f"case-s{draw}", draw, judge(bound, comparison)))
        return found

    return make


def test_a_margin_is_the_largest_limit_of_any_draw_times_the_factor_rounded_up(
    make_bound: MakeBound, figures: Any
) -> None:
    bound = make_bound(margin=0.02)
    found = propose(bound, figures(bound, 0.0041, 0.00521, 0.003), STRICT)
    assert (found.action, found.margin) == ("tightened", "0.0079")  # 1.5 x 0.00521 = 0.007815
    assert found.worst is not None
    assert found.worst.case == "case-s1"
    assert "1.5 x 0.00521 = 0.0079" in found.measured
    assert any("over 3 draws on scenes:seed=1, 4,000 pictures" in line for line in found.measured)
    assert any("furthest limit 0.0052: case-s1" in line for line in found.measured)


def test_a_product_that_is_exact_in_decimals_is_not_rounded_up_by_a_step(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.02)
    assert propose(bound, figures(bound, 0.0042), STRICT).margin == "0.0063"


def test_no_margin_is_below_the_smallest_effect_that_the_pictures_show(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.02)
    found = propose(bound, figures(bound, -0.004, error=0.002), STRICT)
    # Power 0.8 at a one-sided level of 0.95 needs 2.486 standard errors.
    assert (found.action, found.margin) == ("tightened", "0.0050")
    assert any("smallest effect that 4,000 pictures show" in line for line in found.measured)


def test_what_would_loosen_is_refused_and_says_so(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.005)
    found = propose(bound, figures(bound, 0.0041, 0.0061), STRICT)
    assert (found.action, found.margin, found.reason) == ("kept", None, None)
    assert found.measured[0] == "kept, since 0.0092 would loosen it: 1 of 2 figures hold at 0.005"


def test_with_a_reason_it_is_loosened_and_the_reason_is_kept_in_the_file(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.005, reason="what users notice")
    found = propose(bound, figures(bound, 0.0061), LOOSE)
    assert (found.action, found.margin) == ("loosened", "0.0092")
    assert found.reason == "what users notice; loosened from 0.005 to 0.0092: the phone needs 4 bits"
    tighter = propose(replace(bound, margin=0.02), figures(bound, 0.0061), LOOSE)
    assert tighter.action == "tightened"
    assert "the phone" not in str(tighter.reason)


def test_reasons_of_earlier_proposals_do_not_pile_up(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.02, reason="what users notice; loosened from 0.01 to 0.02: an old story; with more")
    found = propose(bound, figures(bound, 0.0041), STRICT)
    assert str(found.reason).startswith("what users notice; tightened from 0.02 to 0.0062: 1.5 x 0.0041")
    assert "old story" not in str(found.reason)


def test_an_equal_margin_is_kept_whatever_its_zeros(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.0060)
    assert propose(bound, figures(bound, 0.004), STRICT).measured[0] == "kept: 1 of 1 figure holds at 0.006"


def test_without_a_file_any_margin_is_set(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.005)
    found = propose(bound, figures(bound, 0.0061), FRESH)
    assert (found.action, found.margin) == ("set", "0.0092")
    assert found.reason == "proposed: 1.5 x 0.0061 over range-setting draws on scenes:seed=1"


@pytest.mark.parametrize(
    ("relation", "margin", "expected"),
    [("equivalent", 0.05, "0.0092"), ("not_better", 0.05, "0.0050"), ("not_worse", 0.05, "0.0092")],
)
def test_each_relation_is_about_its_own_limit(
    make_bound: MakeBound, figures: Any, relation: str, margin: float, expected: str
) -> None:
    bound = make_bound(relation=relation, margin=margin)  # harm 0.0051 in 0.0041 to 0.0061
    assert propose(bound, figures(bound, 0.0061, error=0.002 if relation == "not_better" else 1e-5), STRICT).margin == (
        expected
    )


def test_at_least_starts_from_the_reference_and_goes_down(make_bound: MakeBound, make_comparison: Any) -> None:
    bound = make_bound(relation="at_least", margin=0.5)
    candidate = Interval(0.88, 0.874, 0.886, 0.95, 1e-5)
    comparison = make_comparison(0.01, 0.02, 0.03, candidate=candidate)  # the reference is 0.9
    found = propose(bound, [Measured("c", 0, judge(bound, comparison))], STRICT)
    assert (found.action, found.margin) == ("tightened", "0.861")
    assert found.measured[-1] == "0.9 - 1.5 x 0.026 = 0.861"
    looser = propose(replace(bound, margin=0.87), [Measured("c", 0, judge(bound, comparison))], STRICT)
    assert looser.action == "kept"


def test_a_candidate_better_than_its_reference_is_where_its_limit_starts(make_bound: MakeBound) -> None:
    bound = make_bound(relation="at_most", margin=32.0, metric="bits_per_weight")
    reference, candidate, harm = map(_point, (32.0, 8.25, -23.75))
    comparison = Comparison("bits_per_weight", "", reference, candidate, harm, 4000, 0)
    found = propose(bound, [Measured("c", None, judge(bound, comparison))], STRICT)
    assert (found.action, found.margin) == ("tightened", "8.25")


def test_a_relation_without_a_margin_keeps_none_but_shows_what_was_measured(
    make_bound: MakeBound, figures: Any
) -> None:
    bound = make_bound(relation="improves", margin=0.0)
    found = propose(bound, figures(bound, 0.004), LOOSE)
    assert (found.action, found.margin) == ("kept", None)
    assert any(line.startswith("harm 0.0030") for line in found.measured)


def test_nothing_is_proposed_where_a_figure_could_not_be_had(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound()
    found = propose(bound, [*figures(bound, 0.004), Measured("other", 1, None, "too few\nimages")], LOOSE)
    assert (found.action, found.margin) == ("not measured", None)
    assert found.measured == ("not measured: other: too few",)
    assert propose(bound, [], STRICT).measured == ("not measured: these data have no case of it",)


def test_no_margin_is_proposed_that_nothing_could_break(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound(margin=0.9)
    found = propose(bound, figures(bound, 0.7), LOOSE)
    assert (found.action, found.margin) == ("not measured", None)
    assert found.measured[0] == "not measured: 1.5 x 0.7 = 1.1, and nothing could break such a bound"


def test_names_from_data_cannot_end_a_comment(make_bound: MakeBound, figures: Any) -> None:
    bound = make_bound()
    hostile = [replace(one, case="x\nmargin = 9\x1b[2J") for one in figures(bound, 0.004)]
    found = propose(bound, hostile, STRICT)
    assert all(line.isprintable() for line in found.measured)


def test_a_margin_never_lies_below_what_it_is_made_of_nor_a_tenth_above(make_bound: MakeBound) -> None:
    bound, rng = make_bound(min_images=1), np.random.default_rng(0)
    for _ in range(500):
        limit, factor = 10.0 ** rng.uniform(-6, -1.1), rng.uniform(1, 10)
        exact = Interval(limit, 0.0, limit, 0.95, 0.0)
        comparison = Comparison("top1", "", _point(0.9), _point(0.9 - limit), exact, 4000, 0)
        terms = Terms(replace(BASIS, factor=factor), fresh=True)
        margin = float(str(propose(bound, [Measured("c", 0, judge(bound, comparison))], terms).margin))
        assert factor * limit * (1 - 1e-9) <= margin <= factor * limit * (1.1 + 1e-9)


def _point(value: float) -> Interval:
    return Interval(value, value, value, 0.95, 0.0)
