from __future__ import annotations

import math

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.scores import SCORES, energy, get_score, max_logit, mcm, msp

COSINES = np.random.default_rng(0).uniform(-0.2, 0.4, (30, 6))
every_score = pytest.mark.parametrize("name", sorted(SCORES))


@every_score
def test_agrees_with_its_slow_oracle(name, oracles):
    got = SCORES[name].fn(COSINES, 40.0)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, oracles[name](COSINES, 40.0), rtol=1e-12)


@every_score
def test_a_higher_cosine_with_one_class_never_lowers_the_score(name):
    clear = np.full((2, 5), 0.1)
    clear[:, 2] = [0.2, 0.3]
    low, high = SCORES[name].fn(clear, 30.0)
    assert high > low


@every_score
def test_only_scores_that_say_so_depend_on_the_logit_scale(name):
    same = np.array_equal(SCORES[name].fn(COSINES, 10.0), SCORES[name].fn(COSINES, 100.0))
    assert same is not SCORES[name].uses_logit_scale


@every_score
def test_rows_are_scored_one_by_one(name):
    together = SCORES[name].fn(COSINES, 20.0)
    alone = np.concatenate([SCORES[name].fn(COSINES[i : i + 1], 20.0) for i in range(len(COSINES))])
    np.testing.assert_allclose(together, alone, rtol=1e-14)


@every_score
@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_senseless_logit_scale_is_refused(name, scale):
    with pytest.raises(UndefinedMetricError, match="scale must be positive"):
        SCORES[name].fn(COSINES, scale)


@every_score
def test_logits_in_place_of_cosines_are_refused_with_their_place(name):
    logits = COSINES.copy()
    logits[3, 1] = 25.0
    with pytest.raises(UndefinedMetricError) as caught:
        SCORES[name].fn(logits, 100.0)
    assert caught.value.where == f"{name}: cosines[3, 1]"


@every_score
@pytest.mark.parametrize("bad", [[], [[np.nan, 0.1]], [[0.5], [0.4]]], ids=["empty", "nan", "one_class"])
def test_bad_cosines_are_refused(name, bad):
    with pytest.raises(UndefinedMetricError, match=name):
        SCORES[name].fn(bad, 100.0)


def test_scores_by_hand():
    row = [[1.0, 0.0]]
    assert mcm(row, 100.0)[0] == pytest.approx(math.e / (math.e + 1))
    assert msp(row, 2.0)[0] == pytest.approx(math.exp(2) / (math.exp(2) + 1))
    assert max_logit(row, 2.0)[0] == 1.0
    assert energy(row, 2.0)[0] == pytest.approx(math.log(math.exp(2) + 1))


def test_energy_does_not_overflow():
    assert energy([[1.0, -1.0]], 1e4)[0] == 1e4


def test_scores_are_found_by_name():
    assert get_score("mcm").fn is mcm
    with pytest.raises(UsageError, match="did you mean mcm"):
        get_score("mcmm")
