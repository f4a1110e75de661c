"""Promises every registered metric keeps; a new metric is under test the moment it is registered."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.registry import all_metrics

METRICS = all_metrics()
RESAMPLED = [metric for metric in METRICS if metric.weighted is not None]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=[m.name for m in METRICS])
every_resampled_metric = pytest.mark.parametrize("metric", RESAMPLED, ids=[m.name for m in RESAMPLED])


class ArrayLikeTensor:
    """Like a tensor of another library: no array, but readable as one."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype=dtype)


def over_rows(strata, change):
    """Apply ``change(array, stratum)`` to every array."""
    return [change(array, k) for k, arrays in enumerate(strata) for array in arrays]


@every_metric
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_its_slow_oracle(metric, sample, flat, oracles, seed):
    inputs = flat(sample(metric.kind, seed=seed))
    assert metric.fn(*inputs) == pytest.approx(oracles[metric.name](*inputs), abs=1e-12)


@every_metric
def test_returns_a_python_float_or_a_small_array_within_its_range(metric, sample, flat):
    for seed in range(5):
        value = metric.fn(*flat(sample(metric.kind, n=7, seed=seed)))
        assert type(value) is float or (metric.weighted is None and isinstance(value, np.ndarray))
        assert np.all(value >= metric.low - 1e-12)
        assert np.all(value <= metric.high + 1e-12)


@every_metric
def test_the_order_of_images_does_not_matter(metric, sample, flat, in_order):
    strata = sample(metric.kind)
    orders = [np.random.default_rng(1).permutation(len(arrays[0])) for arrays in strata]
    shuffled = over_rows(strata, lambda a, k: a if in_order(metric.kind, k) else a[orders[k]])
    assert metric.fn(*shuffled) == pytest.approx(metric.fn(*flat(strata)), abs=1e-12)


@every_metric
def test_showing_every_image_three_times_changes_nothing(metric, sample, flat):
    if metric.depends_on_size:
        pytest.skip("this estimate corrects for the number of images")
    strata = sample(metric.kind)
    tripled = over_rows(strata, lambda a, _: np.concatenate([a, a, a]))
    assert metric.fn(*tripled) == pytest.approx(metric.fn(*flat(strata)), abs=1e-12)


@every_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_narrow_floats_give_the_value_of_their_wide_copy(metric, sample, dtype):
    narrow = over_rows(sample(metric.kind), lambda a, _: a.astype(dtype) if a.dtype.kind == "f" else a)
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in narrow]
    np.testing.assert_array_equal(metric.fn(*narrow), metric.fn(*wide))


@every_metric
def test_float32_input_stays_close_to_float64(metric, sample, flat):
    strata = sample(metric.kind)
    narrow = over_rows(strata, lambda a, _: a.astype(np.float32) if a.dtype.kind == "f" else a)
    assert metric.fn(*narrow) == pytest.approx(metric.fn(*flat(strata)), abs=1e-6)


@every_metric
def test_lists_tensors_and_keywords_are_read_like_arrays(metric, sample, flat):
    inputs = flat(sample(metric.kind))
    expected = metric.fn(*inputs)
    names = inspect.signature(metric.fn).parameters
    np.testing.assert_array_equal(metric.fn(*(a.tolist() for a in inputs)), expected)
    np.testing.assert_array_equal(metric.fn(*(ArrayLikeTensor(a) for a in inputs)), expected)
    np.testing.assert_array_equal(metric.fn(**dict(zip(names, inputs, strict=True))), expected)


@every_metric
def test_inputs_are_left_as_they_were(metric, sample, flat):
    inputs = flat(sample(metric.kind))
    copies = [a.copy() for a in inputs]
    metric.fn(*inputs)
    for array, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@every_resampled_metric
def test_weights_of_one_are_the_metric_itself(metric, sample, flat):
    inputs = flat(sample(metric.kind))
    prepared = metric.weighted(*inputs)
    values = prepared(*(np.ones((3, n), dtype=np.uint8) for n in prepared.sizes))
    assert values.shape == (3,)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, metric.fn(*inputs), rtol=0, atol=1e-14)


@every_resampled_metric
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_weights_equal_repeated_images(metric, sample, flat, resampled, dtype):
    if metric.depends_on_size:
        pytest.skip("this estimate corrects for the number of images")
    strata = sample(metric.kind)
    rng = np.random.default_rng(2)
    weights = {k: rng.integers(0, 4, (8, len(strata[k][0]))).astype(dtype) for k in resampled(metric.kind, strata)}
    values = metric.weighted(*flat(strata))(*weights.values())
    for b in range(8):
        repeated = over_rows(strata, lambda a, k, b=b: np.repeat(a, weights[k][b], axis=0) if k in weights else a)
        assert values[b] == pytest.approx(metric.fn(*repeated), abs=1e-12)


@every_resampled_metric
def test_weights_of_another_number_of_images_are_refused(metric, sample, flat):
    prepared = metric.weighted(*flat(sample(metric.kind)))
    with pytest.raises(UsageError, match="weights must be"):
        prepared(*(np.ones((2, n + 1), dtype=np.uint8) for n in prepared.sizes))


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_number_is_named_with_its_place(metric, sample, flat, bad):
    inputs = flat(sample(metric.kind))
    floats = [i for i, a in enumerate(inputs) if a.dtype.kind == "f"]
    for position in floats:
        broken = [a.copy() for a in inputs]
        broken[position] = np.asarray(broken[position], dtype=np.float64)
        broken[position].reshape(len(broken[position]), -1)[4, -1] = bad
        with pytest.raises(UndefinedMetricError, match=rf"{metric.name} is undefined") as caught:
            metric.fn(*broken)
        name = list(inspect.signature(metric.fn).parameters)[position]
        assert f"{name}[4" in str(caught.value)
        assert str(bad) in str(caught.value)


@every_metric
def test_empty_input_has_no_value(metric, sample):
    empty = over_rows(sample(metric.kind), lambda a, _: a[:0])
    with pytest.raises(UndefinedMetricError, match="no images"):
        metric.fn(*empty)


@every_metric
def test_a_missing_row_is_an_error_wherever_rows_are_partners(metric, sample, flat):
    strata = sample(metric.kind)
    for k, arrays in enumerate(strata):
        for position in range(len(arrays) if len(arrays) > 1 else 0):
            cut = [(j, i) == (k, position) for j, group in enumerate(strata) for i in range(len(group))]
            shorter = [a[:-1] if short else a for a, short in zip(flat(strata), cut, strict=True)]
            with pytest.raises(UndefinedMetricError, match=r"the same images|the same texts|partner"):
                metric.fn(*shorter)


@every_metric
def test_is_described_for_reports_and_documented(metric):
    assert metric.low < metric.high
    assert metric.unit
    assert metric.summary.endswith(".")
    doc = inspect.getdoc(metric.fn)
    assert "Conventions:" in doc
    assert "Raises:" in doc
    assert ">>> " in doc
    assert metric.fn.__name__ == metric.name


@every_metric
def test_harm_is_positive_when_the_candidate_is_worse(metric):
    worse = {"higher": (0.9, 0.4), "lower": (0.4, 0.9), "neither": (0.4, 0.9)}[metric.direction]
    assert metric.harm(*worse) == pytest.approx(0.5)
    assert metric.harm(0.3, 0.3) == 0.0
