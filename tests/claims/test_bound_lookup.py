"""Which bound judges which case, and that no case has two."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reliability.claims.bounds import Bound, Floor, Scope, ThresholdFile
from reliability.errors import ThresholdError

Make = Callable[..., Bound]
MODEL = "zoo:scenes-clean"


def file_of(*bounds: Bound, floors: tuple[Floor, ...] = ()) -> ThresholdFile:
    return ThresholdFile("a.toml", "00", ("w8a8-minmax",), bounds, floors)


def floor(index: int, relation: str = "at_least") -> Floor:
    return Floor(("zoo:*",), "id", "top1", "", relation, 0.8, "why", 100, "a.toml", index)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), True),
        (Scope(task=("noise/*",)), True),
        (Scope(task=("noise/*/3",)), True),
        (Scope(task=("noise/*/4",)), False),
        (Scope(task=("id", "noise/gaussian_noise/3")), True),
        (Scope(recipe=("w8a8-*",)), True),
        (Scope(recipe=("W8A8-*",)), False),
        (Scope(model=("zoo:photos",)), False),
        (Scope(model=("zoo:*",), recipe=("*-minmax",), task=("noise/*",)), True),
    ],
)
def test_globs_match_whole_names(make_bound: Make, scope: Scope, covered: bool) -> None:
    bound = make_bound(applies=scope)
    found = file_of(bound).bounds_for("accuracy", MODEL, "w8a8-minmax", "noise/gaussian_noise/3")
    assert found == ([bound] if covered else [])


def test_a_bound_serves_its_claim_only(make_bound: Make) -> None:
    assert file_of(make_bound()).bounds_for("noise", MODEL, "w8a8-minmax", "id") == []


def test_two_bounds_on_one_figure_of_one_case_are_refused_by_name(make_bound: Make) -> None:
    file = file_of(make_bound(index=1), make_bound(index=2, applies=Scope(task=("id",)), line=None))
    assert len(file.bounds_for("accuracy", MODEL, "w8a8-minmax", "ood/near")) == 1
    with pytest.raises(ThresholdError) as caught:
        file.bounds_for("accuracy", MODEL, "w8a8-minmax", "id")
    assert "bound 1 (line 41) and " in caught.value.where
    assert caught.value.where.endswith("bound 2")


def test_another_metric_or_score_is_another_figure(make_bound: Make) -> None:
    bounds = [make_bound(index=i, metric=m, score=s) for i, (m, s) in enumerate([("auroc", "mcm"), ("auroc", "msp")])]
    assert file_of(*bounds).bounds_for("accuracy", MODEL, "w8a8-minmax", "id") == bounds


def test_bounds_that_judged_nothing_are_told(make_bound: Make) -> None:
    used, idle = make_bound(index=1), make_bound(index=2, claim="noise")
    file = file_of(used, idle)
    assert file.unmatched([used]) == (idle,)
    assert file.unmatched([used, idle]) == ()


def test_floors_are_found_by_model_and_never_twice(make_bound: Make) -> None:
    both_sides = file_of(make_bound(), floors=(floor(1), floor(2, "at_most")))
    assert [f.index for f in both_sides.floors_for(MODEL)] == [1, 2]
    assert both_sides.floors_for("open_clip:ViT-B-32") == []
    with pytest.raises(ThresholdError, match=r"floor 1 and a\.toml, floor 2"):
        file_of(make_bound(), floors=(floor(1), floor(2))).floors_for(MODEL)
