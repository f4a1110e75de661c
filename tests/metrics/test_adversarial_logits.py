from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reliability.errors import UndefinedMetricError
from reliability.metrics.registry import all_metrics

METRICS = [metric for metric in all_metrics() if metric.kind in ("classification", "fitted")]
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
odd = st.sampled_from(
    [0.0, -0.0, SMALLEST, -SMALLEST, 1e-310, 1e308, -1e308, LARGEST, -LARGEST, 1.0, -1.0, 37.0, 700.0, -745.0, 1e16]
)
numbers = odd | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)


@st.composite
def logits_and_labels(draw):
    """Two sets of images of the same classes."""
    classes = draw(st.integers(2, 7))
    drawn = []
    for n in draw(st.tuples(st.integers(1, 8), st.integers(1, 8))):
        drawn.append(draw(arrays.arrays(np.float64, (n, classes), elements=numbers)))
        drawn.append(draw(arrays.arrays(np.int64, n, elements=st.integers(0, classes - 1))))
    return drawn


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(logits_and_labels())
def test_any_finite_logits_give_a_value_within_range_or_an_error_that_says_why(inputs):
    for metric in METRICS:
        chosen = inputs if metric.kind == "fitted" else inputs[2:]
        with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                value = metric.fn(*chosen)
            except UndefinedMetricError:
                continue  # it names its cause by construction; see the tests of each metric
        assert metric.low - 1e-12 <= value <= metric.high + 1e-12, metric.name
        backwards = [*chosen[:-2], chosen[-2][::-1], chosen[-1][::-1]]
        assert metric.fn(*backwards) == pytest.approx(value, rel=1e-12, abs=1e-12), metric.name


@pytest.mark.parametrize("metric", METRICS, ids=[m.name for m in METRICS])
def test_minus_zero_is_zero(metric):
    rng = np.random.default_rng(0)
    logits = rng.integers(-1, 2, (40, 6)).astype(float)
    labels = rng.integers(0, 6, 40)
    fit = [np.vstack([np.eye(6)] * 3), [*range(6), *range(6), 1, 1, 2, 3, 4, 5]]
    signed = np.where(logits == 0.0, -0.0, logits)
    inputs = [[*(fit if metric.kind == "fitted" else []), x, labels] for x in (logits, signed)]
    assert metric.fn(*inputs[0]) == metric.fn(*inputs[1])
