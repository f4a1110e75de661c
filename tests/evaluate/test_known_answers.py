"""Figures with a known answer are asked for it before they judge, and a turned one is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reliability.errors import UndefinedMetricError
from reliability.evaluate.comparison.known_answers import KNOWN, require_known_answer, require_known_order
from reliability.metrics import registry
from reliability.metrics.scores import SCORES, get_score


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_answer_is_given_and_by_its_plain_function_too(name: str) -> None:
    metric = registry.get(name)
    require_known_answer(metric)
    for inputs, answer in KNOWN[name]:
        assert metric.fn(*inputs) == pytest.approx(answer, abs=1e-12)


@pytest.mark.parametrize("name", KNOWN)
def test_a_reversed_direction_is_refused(name: str) -> None:
    metric = registry.get(name)
    other = "lower" if metric.direction == "higher" else "higher"
    with pytest.raises(UndefinedMetricError, match=r"(?s)known answer.*no worse"):
        require_known_answer(replace(metric, direction=other))


def test_the_other_orientation_of_a_metric_is_refused() -> None:
    other = registry.get("fpr95_ood_positive")
    with pytest.raises(UndefinedMetricError, match=r"(?s)known answer.*fpr95.*0.05 where 0 is right"):
        require_known_answer(replace(registry.get("fpr95"), weighted=other.weighted))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_score_ranks_a_sure_answer_first(name: str) -> None:
    require_known_order(get_score(name))


@pytest.mark.parametrize("name", ["mcm", "msp", "energy", "max_logit", "entropy", "margin", "gen"])
def test_a_negated_score_is_refused(name: str) -> None:
    sound = get_score(name)
    with pytest.raises(UndefinedMetricError, match=rf"(?s)known answer.*score {name}"):
        require_known_order(replace(sound, fn=lambda evidence: -sound.fn(evidence)))
