"""Row by row, intervals and edges stand where the bound's margin puts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reliability.claims.runs import RunRecord
from reliability.report.html.strips import REACH, WIDTH_PX, Strip, strip

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


@pytest.fixture
def strip_of(make_case: MakeCase, make_run: MakeRun) -> Callable[..., Strip | None]:
    def drawn(*values: Any, **options: Any) -> Strip | None:
        (result,) = make_run(make_case(*values, **options)).results()
        assert result.verdict is not None
        return strip(result.verdict)

    return drawn


def place(margins: float) -> float:
    return round((margins + REACH) / (2 * REACH) * WIDTH_PX, 1)


def test_an_interval_is_drawn_in_units_of_its_margin(strip_of: Callable[..., Any]) -> None:
    found = strip_of(0.005, 0.002, margin=0.01)
    assert (found.low, found.mid, found.high) == (place(0.3), place(0.5), place(0.7))
    assert found.edges == (place(1.0),)
    assert found.shades == ((place(1.0), WIDTH_PX),)
    assert found.zero == WIDTH_PX / 2
    assert found.used == pytest.approx(0.7)
    assert found.beyond == (False, False)


def test_what_leaves_the_picture_is_cut_and_marked(strip_of: Callable[..., Any]) -> None:
    found = strip_of(0.5, 0.01)
    assert (found.low, found.high, found.beyond) == (WIDTH_PX, WIDTH_PX, (False, True))
    assert found.used == pytest.approx(51.0)
    assert strip_of(-0.5, 0.01).beyond == (True, False)


def test_an_equivalence_has_two_edges_and_counts_the_nearer(strip_of: Callable[..., Any]) -> None:
    found = strip_of(-0.004, 0.002, relation="equivalent")
    assert found.edges == (place(-1.0), place(1.0))
    assert found.used == pytest.approx(0.6)


def test_without_a_margin_the_edge_is_zero_and_nothing_is_used_up(strip_of: Callable[..., Any]) -> None:
    found = strip_of(-0.004, 0.002, relation="improves", margin=0.0)
    assert found.edges == (WIDTH_PX / 2,)
    assert found.used is None
    assert found.low < found.high < found.edges[0]


@pytest.mark.parametrize(("margin", "used"), [(0.85, 0.012 / 0.05), (0.95, None)])
def test_a_floor_is_drawn_from_the_reference_to_the_limit(
    strip_of: Callable[..., Any], margin: float, used: float | None
) -> None:
    # The candidate of 0.898 has limits 0.01 to either side, the reference 0.9.
    found = strip_of(0.002, relation="at_least", margin=margin)
    assert (found is None) == (used is None)
    if found is not None:
        assert found.used == pytest.approx(used)
        assert found.edges == (place(1.0),)
