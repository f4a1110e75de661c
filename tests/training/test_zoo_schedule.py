from __future__ import annotations

from itertools import pairwise

import pytest

from training.plans import PLANS, Schedule

SCHEDULE = Schedule(steps=100, warmup=10, hold=40, learning_rate=0.5)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (40, 1.0), (55, 0.8535534), (70, 0.5), (100, 0.0)]
)
def test_the_rate_rises_holds_and_decays_as_half_a_cosine(step: int, share: float) -> None:
    assert SCHEDULE.rate(step) == pytest.approx(0.5 * share, abs=1e-7)


@pytest.mark.parametrize("name", PLANS)
def test_a_plans_rate_never_rises_after_its_warm_up_and_never_jumps(name: str) -> None:
    schedule = PLANS[name].schedule
    rates = [schedule.rate(step) for step in range(schedule.steps)]
    assert max(rates) == pytest.approx(schedule.learning_rate)
    assert all(a >= b for a, b in pairwise(rates[schedule.warmup :]))
    assert max(abs(a - b) for a, b in pairwise(rates)) <= schedule.learning_rate / 50
    assert rates[-1] < schedule.learning_rate / 100
