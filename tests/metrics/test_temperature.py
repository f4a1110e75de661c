from __future__ import annotations

import doctest
import gc
import math

import numpy as np
import pytest
from scipy import optimize

from reliability.errors import UndefinedMetricError
from reliability.metrics import registry, temperature
from reliability.metrics.answers import read_answers
from reliability.metrics.registry import all_metrics, get, measure

AFTER = [m for m in all_metrics() if m.name.endswith("_after_temperature")]
BINNED = [
    "ece",
    "ece_equal_mass",
    "ece_debiased",
    "ece_classwise",
    "ece_sweep",
    "mce",
    "overconfidence",
    "underconfidence",
]
CALIBRATION = [*BINNED, "ece_smooth", "signed_ece", "ks_calibration", "nll", "brier"]
RIGHT_THREE_TIMES_IN_FOUR = [[2.0, 0.0]] * 4, [0, 0, 0, 1]


def answered(seed, n=300, classes=6, sharpness=1.0):
    """Labels drawn from the model's own probabilities, and logits ``sharpness`` times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return sharpness * logits, labels


def fitted(logits, labels):
    return get("temperature").fn(logits, labels, np.ones((1, np.shape(logits)[1])), [0])


def test_by_hand_for_two_classes():
    # Confidence sigmoid(2 / T) must be 3/4: T = 2 / ln 3.
    assert fitted(*RIGHT_THREE_TIMES_IN_FOUR) == pytest.approx(2 / math.log(3), rel=1e-13)


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 5.0])
def test_a_model_that_is_too_sure_by_a_factor_gets_that_factor(sharpness):
    assert fitted(*answered(0, n=4000, sharpness=sharpness)) == pytest.approx(sharpness, rel=0.08)


def test_no_other_temperature_has_a_lower_likelihood():
    logits, labels = answered(1, sharpness=3.0)
    found = optimize.minimize_scalar(
        lambda log_t: get("nll").fn(logits / math.exp(log_t), labels), bounds=(-3, 3), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    assert fitted(logits, labels) == pytest.approx(math.exp(found.x), rel=1e-6)
    at_best = get("nll_after_temperature").fn(logits, labels, logits, labels)
    assert at_best <= found.fun + 1e-14


@pytest.mark.parametrize("factor", [1e-300, 2.0**-40, 0.01, 100.0, 1e200, 1e300])
def test_temperature_scales_with_the_logits_however_large_or_small(factor):
    logits, labels = answered(2, n=60)
    assert fitted(factor * logits, labels) == pytest.approx(factor * fitted(logits, labels), rel=1e-11)


def test_one_narrow_miss_among_right_answers_still_has_a_best_temperature():
    # exp(-1 / T) of the right answer weighs as much as half the miss of 1e-300.
    best = fitted([[1.0, 0.0], [0.0, 1e-300]], [0, 0])
    assert best == pytest.approx(1 / (300 * math.log(10) + math.log(2)), rel=1e-12)


def test_all_answers_right_leave_no_best_temperature():
    with pytest.raises(UndefinedMetricError, match="every label already has the largest logit") as caught:
        fitted([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    assert "a temperature near 0" in str(caught.value)
    with pytest.raises(UndefinedMetricError, match="every label already has the largest logit"):
        fitted([[2.0, 0.0], [1.0, 1.0]], [0, 1])  # a tie is not below the largest


@pytest.mark.parametrize(
    "logits",
    [[[0.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [3.0, 0.0]], [[9.0, 0.0], [1.0, 0.0]]],
    ids=["flat", "level", "worse"],
)
def test_answers_no_better_than_chance_leave_no_best_temperature(logits):
    with pytest.raises(UndefinedMetricError, match="no temperature is best") as caught:
        fitted(logits, [1, 0])
    assert caught.value.where == "temperature: fit_logits, fit_labels"


def test_the_error_names_the_metric_that_was_asked_for():
    with pytest.raises(UndefinedMetricError, match="ece_after_temperature is undefined"):
        get("ece_after_temperature").fn([[1.0, 0.0]], [0], [[1.0, 0.0]], [0])


def test_every_calibration_metric_exists_after_temperature_with_the_same_description():
    assert {m.name for m in AFTER} == {f"{name}_after_temperature" for name in CALIBRATION}
    for metric in AFTER:
        before = get(metric.name.removesuffix("_after_temperature"))
        for field in ("direction", "low", "high", "unit", "depends_on_size"):
            assert getattr(metric, field) == getattr(before, field)
        assert metric.kind == "fitted"
        assert before.defined in metric.defined


@pytest.mark.parametrize("name", CALIBRATION)
def test_it_is_the_metric_of_the_divided_logits(name):
    fit, judged = answered(3, sharpness=2.0), answered(4, n=90, sharpness=2.0)
    expected = get(name).fn(judged[0] / fitted(*fit), judged[1])
    assert get(f"{name}_after_temperature").fn(*fit, *judged) == pytest.approx(expected, abs=1e-12)


def test_a_wrong_logit_scale_is_repaired_and_nothing_else():
    fit, judged = answered(5, n=3000), answered(6, n=3000)
    before = get("ece").fn(4 * judged[0], judged[1])
    after = get("ece_after_temperature").fn(4 * fit[0], fit[1], 4 * judged[0], judged[1])
    assert before > 0.15
    assert after < 0.03
    assert after == pytest.approx(get("ece_after_temperature").fn(*fit, *judged), abs=1e-12)


def test_only_the_judged_images_are_resampled():
    fit, judged = answered(7), answered(8, n=50)
    prepared = get("ece_after_temperature").weighted(*fit, *judged)
    assert prepared.sizes == (50,)
    weights = np.random.default_rng(0).poisson(1.0, (3, 50))
    for value, counts in zip(prepared(weights), weights, strict=True):
        again = np.repeat(np.arange(50), counts)
        assert value == pytest.approx(
            get("ece_after_temperature").fn(*fit, judged[0][again], judged[1][again]), abs=1e-12
        )


def test_predictions_stay_as_they_were_even_where_division_would_make_a_tie():
    answers = read_answers("test", [[5e-324, 0.0], [0.0, 5e-324]], [0, 1])
    tempered = temperature.temper(answers, 1e10)
    assert tempered.predicted.tolist() == [0, 1]
    np.testing.assert_array_equal(tempered.confidence, [0.5, 0.5])


def test_tempered_blocks_are_the_divided_logits_up_to_a_shift():
    logits, labels = answered(9, n=40)
    answers = read_answers("test", logits, labels)
    blocks = np.concatenate([block for _, block in temperature.temper(answers, 3.0).blocks()])
    np.testing.assert_allclose(blocks, (logits - logits.max(axis=1, keepdims=True)) / 3.0, rtol=1e-15)
    np.testing.assert_array_equal(answers.logits, logits)


def test_several_metrics_of_the_same_images_fit_once_and_nothing_is_kept_afterwards(monkeypatch):
    fits, fit_temperature = [], temperature.fit_temperature
    monkeypatch.setattr(temperature, "fit_temperature", lambda *a: fits.append(a[0]) or fit_temperature(*a))
    measure([m.name for m in AFTER], *answered(10), *answered(11))
    assert len(fits) == 1
    fits.clear()
    gc.collect()
    assert not temperature._TEMPERED


@pytest.mark.parametrize("metric", AFTER, ids=[m.name for m in AFTER])
def test_examples_in_generated_docstrings_are_true(metric):
    test = doctest.DocTestFinder().find(metric.fn, metric.name, module=registry, globs={})
    assert doctest.DocTestRunner().run(test[0]).failed == 0
    assert test[0].examples
