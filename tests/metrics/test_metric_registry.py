from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import reliability.metrics
import reliability.stats
from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics import registry
from reliability.metrics.calibration import ece
from reliability.metrics.prepared import mean_of


def test_a_metric_is_found_by_name_and_is_what_its_module_exports():
    assert registry.get("ece").fn is ece
    assert registry.get("ece").kind == "classification"


def test_an_unknown_name_is_answered_with_close_matches():
    with pytest.raises(UsageError, match=r"did you mean auroc") as caught:
        registry.get("aurocc")
    assert "unknown metric" in str(caught.value)


def test_a_name_like_no_other_is_answered_with_the_list():
    with pytest.raises(UsageError, match=r"choose one of .*top1"):
        registry.get("zzzzzz")


def test_all_metrics_come_sorted_and_once():
    names = [m.name for m in registry.all_metrics()]
    assert names == sorted(set(names))
    assert {"top1", "ece", "signed_ece", "nll", "auroc", "fpr95", "worst_group_accuracy", "flip_rate"} <= set(names)


def test_one_decorated_function_is_a_new_metric(monkeypatch):
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))

    @registry.register("classification", direction="lower", low=0.0, high=1.0, unit="fraction")
    def first_or_second(answers):
        """Share of images whose label is among the two likeliest."""
        return mean_of((answers.rank < 2).astype(float))

    assert first_or_second([[1, 2, 3], [1, 2, 3]], [0, 1]) == 0.5
    assert registry.get("first_or_second").summary == "Share of images whose label is among the two likeliest."
    with pytest.raises(UndefinedMetricError, match="first_or_second is undefined"):
        first_or_second([[1, 2]], [2])


def test_several_metrics_of_one_kind_are_measured_in_one_reading():
    logits, labels = [[1.0, 2.0], [3.0, 0.0]], [1, 1]
    together = registry.measure(["nll", "top1"], logits, labels)
    assert together == {name: registry.get(name).fn(logits, labels) for name in ("nll", "top1")}


def test_metrics_of_different_kinds_cannot_be_measured_together():
    with pytest.raises(UsageError, match="the same inputs"):
        registry.measure(["top1", "auroc"], [[1.0, 2.0]], [0])


def test_a_metric_that_ends_up_non_finite_is_an_error_not_a_number():
    with pytest.raises(UndefinedMetricError, match="no finite value"), np.errstate(over="ignore"):
        registry.get("nll").fn([[1.7e308, -1.7e308]], [1])


@pytest.mark.parametrize("package", [reliability.metrics, reliability.stats], ids=["metrics", "stats"])
def test_examples_in_docstrings_are_true(package):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        assert doctest.testmod(importlib.import_module(module.name)).failed == 0
