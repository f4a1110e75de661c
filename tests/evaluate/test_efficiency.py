"""What candidates cost: figures, their limits, the order of timing, and the pair that measures them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import judge
from reliability.data.registry import DataSet
from reliability.errors import QuantizationError, UndefinedMetricError, UsageError
from reliability.evaluate.comparison.compare import judgeable_metrics
from reliability.evaluate.engine import Engine
from reliability.evaluate.running.efficiency import (
    COSTS,
    FEWEST_ROUNDS,
    MOST_ROUNDS,
    Costs,
    Times,
    in_turn,
    measured_cost,
)
from reliability.evaluate.running.embed import BATCH
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, parse_recipe
from reliability.types import F64, Comparison

MIB = 2**20


def costs(single: F64, batch: F64, sizes: tuple[int, int] = (4 * MIB, MIB)) -> Costs:
    return Costs(lambda: sizes, lambda: Times(single, batch, 32, "cpu"))


def noisy(rounds: int = 20) -> Costs:
    """A candidate that takes half the time, on a machine whose speed drifts threefold."""
    rng = np.random.default_rng(0)
    drift = np.linspace(1, 3, rounds)
    both = np.stack([drift, drift / 2]) * rng.uniform(0.98, 1.02, (2, rounds))
    return costs(0.01 * both, 0.3 * both)


def figure(name: str, of: Costs, level: float = 0.95) -> Comparison:
    return measured_cost(name, "", of, level, 0, 2000)


def test_figures_of_a_hand_computed_case() -> None:
    single, batch = np.array([[0.02, 0.04, 0.03], [0.01, 0.02, 0.03]]), np.array([[1.0, 2.0, 4.0], [0.5, 0.5, 0.5]])
    measured = costs(single, batch)
    values = {name: figure(name, measured) for name in COSTS}
    got = {name: (c.reference.estimate, c.candidate.estimate, c.harm.estimate) for name, c in values.items()}
    assert got["stored_mib"] == (4.0, 1.0, -3.0)
    assert got["latency_ms"] == pytest.approx((30.0, 20.0, -10.0))
    assert got["latency_ratio"] == pytest.approx((1.0, 0.5, -0.5))
    assert got["images_per_second"] == pytest.approx((16.0, 64.0, -48.0))
    assert got["throughput_ratio"] == pytest.approx((1.0, 4.0, -3.0))
    assert values["images_per_second"].n == 3 * 32
    assert values["latency_ms"].n == 3


def test_ratios_of_rounds_see_through_a_drifting_machine() -> None:
    ratio, latency = figure("latency_ratio", noisy()), figure("latency_ms", noisy())
    assert 0.48 < ratio.candidate.lower < ratio.candidate.upper < 0.52
    assert latency.reference.upper - latency.reference.lower > 0.2 * latency.reference.estimate
    assert (ratio.reference.lower, ratio.reference.upper) == (1.0, 1.0)


def test_limits_hold_the_median_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        seconds = rng.lognormal([[0.0], [-0.5]], 0.2, (2, 20))
        found = figure("latency_ms", costs(seconds, seconds), 0.9).candidate
        inside += found.lower <= 1000 * np.exp(-0.5) <= found.upper
    assert 0.70 < inside / 200 < 0.95  # both one-sided limits at 90 % hold together at 80 %


def test_a_cost_is_judged_by_a_bound_like_any_figure() -> None:
    def bound(metric: str, relation: str, margin: float) -> Bound:
        return Bound("speed", Scope(), metric, "", relation, margin, False, "test", 0.95, 1, "f", 1)  # type: ignore[arg-type]

    assert judge(bound("latency_ratio", "at_most", 0.6), figure("latency_ratio", noisy())).outcome == "holds"
    assert judge(bound("throughput_ratio", "at_least", 2.5), figure("throughput_ratio", noisy())).outcome == "broken"
    assert judge(bound("latency_ms", "not_worse", 0.0), figure("latency_ms", noisy())).outcome == "holds"
    assert judge(bound("stored_mib", "not_worse", 0.0), figure("stored_mib", noisy())).outcome == "holds"
    larger = costs(np.ones((2, 3)), np.ones((2, 3)), (MIB, MIB + 1))
    assert judge(bound("stored_mib", "not_worse", 0.0), figure("stored_mib", larger)).outcome == "broken"


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_time_that_is_none_is_undefined(bad: float) -> None:
    seconds = np.ones((2, 12))
    seconds[1, 3] = bad
    with pytest.raises(UndefinedMetricError, match="positive"):
        figure("latency_ms", costs(seconds, seconds))


def test_a_cost_takes_no_score() -> None:
    with pytest.raises(UsageError, match="takes no score"):
        measured_cost("latency_ms", "mcm", noisy(), 0.95, 0, 2000)


def test_costs_can_be_named_in_a_threshold_file() -> None:
    assert set(COSTS) <= set(judgeable_metrics())


def test_times_are_measured_once_for_all_figures_and_sizes_without_timing() -> None:
    asked: list[str] = []

    def timing() -> Times:
        asked.append("times")
        return Times(np.ones((2, 12)), np.ones((2, 12)), 32, "cpu")

    measured = Costs(lambda: (MIB, MIB), timing)
    figure("stored_mib", measured)
    assert not asked
    for name in COSTS:
        figure(name, measured)
    assert asked == ["times"]


def test_both_run_once_beforehand_and_then_in_turn_with_changing_order() -> None:
    order: list[str] = []
    clock = itertools.count()
    in_turn(lambda: order.append("a"), lambda: order.append("b"), 0.0, clock=lambda: float(next(clock)))
    assert order[:8] == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert len(order) == 2 + 2 * FEWEST_ROUNDS


def test_time_belongs_to_the_work_that_took_it() -> None:
    now = 0.0

    def spend(seconds: float) -> None:
        nonlocal now
        now += seconds

    seconds = in_turn(lambda: spend(3.0), lambda: spend(1.0), 50.0, clock=lambda: now)
    assert seconds.shape == (2, 13)  # 12 rounds of 4 seconds are below 50, and so a 13th begins
    assert set(seconds[0]) == {3.0}
    assert set(seconds[1]) == {1.0}


def test_quick_work_is_repeated_only_so_often() -> None:
    assert in_turn(lambda: None, lambda: None, 1e9, clock=itertools.count().__next__).shape == (2, MOST_ROUNDS)


def test_a_pair_measures_its_models_now_and_keeps_no_time(tiny: ModelSpec, data: DataSet, tmp_path: Path) -> None:
    recipe = parse_recipe("w8a8-dynamic@torch-int8")
    engine = Engine(Cache(tmp_path), data)
    pair = engine.pair(tiny, recipe, data.task("id"))
    stored = pair.harm("stored_mib")
    assert 0 < stored.candidate.estimate < stored.reference.estimate
    engine.data.range_setting(BATCH, recipe.seed)  # Whatever is drawn is noted, so that it is not judged on.
    entries = len(list(tmp_path.rglob("*.bin")))
    ratio = pair.harm("latency_ratio")
    assert 0 < ratio.candidate.estimate < 100
    assert ratio.details["batch"] == 32
    assert len(list(tmp_path.rglob("*.bin"))) == entries
    again = Engine(Cache(tmp_path), data).pair(tiny, recipe, data.task("id"))
    assert again.harm("stored_mib") == stored
    assert again.costs is not pair.costs


def test_a_candidate_on_kernels_is_held_against_its_own_simulation(
    tiny: ModelSpec, data: DataSet, tmp_path: Path
) -> None:
    recipe = parse_recipe("w8a8-minmax@torch-int8")
    engine = Engine(Cache(tmp_path), data)
    parity = engine.pair(tiny, recipe, data.task("id"), against=recipe.simulated)
    quantization = engine.pair(tiny, recipe, data.task("id"))
    simulated = engine.pair(tiny, recipe.simulated, data.task("id"))
    assert np.array_equal(parity.reference.part.image, simulated.candidate.part.image)
    assert np.array_equal(parity.candidate.part.image, quantization.candidate.part.image)
    close, far = (pair.harm("embedding_cosine").harm.estimate for pair in (parity, quantization))
    assert close < 1e-6 < far
    assert parity.harm("top1").method.endswith("against w8a8-minmax")
    assert engine.pair(tiny, FP32, data.task("id")).harm("top1").method == quantization.harm("top1").method


def test_codes_of_a_candidate_on_kernels_are_those_of_the_cached_simulation(
    tiny: ModelSpec, data: DataSet, tmp_path: Path
) -> None:
    recipe = parse_recipe("w8a8-lsq@torch-int8")
    engine = Engine(Cache(tmp_path), data)
    simulated, real = engine.prepared(tiny, recipe.simulated), engine.prepared(tiny, recipe)
    draws = data.range_setting.draws
    engine.prepared(tiny, recipe.simulated)
    assert data.range_setting.draws == draws
    name = "visual.transformer.resblocks.0.mlp.c_fc"
    codes = simulated[f"{name}.weight"] / simulated[f"{name}.weight_scale"]
    assert np.array_equal(real[f"{name}.codes"], codes.round().astype(np.int8))
    assert real[f"{name}.activation.scale"] == simulated[f"{name}.activation.scale"]


def test_kernels_that_do_not_run_on_this_device_are_an_error(tiny: ModelSpec, data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="run on cuda only"):
        Engine(Cache(tmp_path), data).pair(tiny, parse_recipe("fp8-rtn@fp8"), data.task("id"))
