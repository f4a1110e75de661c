from __future__ import annotations

import numpy as np
import pytest

from reliability.metrics.answers import read_answers
from reliability.metrics.probabilities import surprises, tails
from reliability.metrics.registry import get

LAC, APS = ("conformal_coverage_lac", "conformal_size_lac"), ("conformal_coverage_aps", "conformal_size_aps")


def conformal(pair, *inputs):
    return tuple(get(name).fn(*inputs) for name in pair)


def draw(n, seed, classes=8, sharpness=1.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    return sharpness * logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


# Nine images at confidence 0.5, 0.3, 0.2 for classes 0, 1, 2: one label is class 1, the others class 0.
FIT = np.log([[0.5, 0.3, 0.2]] * 9), [0] * 8 + [1]


def test_the_cutoff_is_the_ninth_of_nine_scores():
    # Likely enough is 0.3: two classes. With nine labels of class 0 it is 0.5: one class.
    assert conformal(LAC, *FIT, FIT[0][:3], [0, 1, 2]) == pytest.approx((2 / 3, 2.0))
    assert conformal(LAC, FIT[0], [0] * 9, FIT[0][:3], [0, 1, 2]) == pytest.approx((1 / 3, 1.0))


def test_the_cutoff_of_nineteen_scores_is_the_eighteenth():
    logits = np.log([[0.5, 0.3, 0.2]] * 19)
    assert conformal(LAC, logits, [0] * 18 + [2], logits[:1], [0]) == (1.0, 1.0)
    assert conformal(LAC, logits, [0] * 17 + [2, 2], logits[:1], [0]) == (1.0, 3.0)


@pytest.mark.parametrize("pair", [LAC, APS], ids=["lac", "aps"])
def test_too_few_images_to_fit_on_give_sets_of_all_classes(pair):
    assert conformal(pair, FIT[0][:8], FIT[1][:8], FIT[0], [2] * 9) == (1.0, 3.0)


def test_aps_takes_classes_until_their_probability_reaches_the_cutoff():
    # Scores of the labels: 0.5 eight times, 0.8 once; the cutoff is 0.8, which two classes of the same image reach.
    assert conformal(APS, *FIT, FIT[0][:3], [0, 1, 2]) == pytest.approx((2 / 3, 2.0))
    # An image at 0.9 reaches it with one class, one at 0.25 each needs all four.
    flat = np.log([[0.9, 0.04, 0.03, 0.03], [0.25, 0.25, 0.25, 0.25]])
    fit = np.log([[0.5, 0.3, 0.1, 0.1]] * 9), FIT[1]
    assert conformal(APS, *fit, flat, [1, 3]) == pytest.approx((0.5, 2.5))


def test_a_confident_image_has_an_empty_lac_set_but_never_an_empty_aps_set():
    # Every image to fit on is sure of its label, so that 0.5 is not likely enough.
    fit = [[9.0, 0.0]] * 20, [0] * 20
    assert conformal(LAC, *fit, [[0.0, 0.0]], [0]) == (0.0, 0.0)
    assert conformal(APS, *fit, [[0.0, 0.0]], [0]) == (1.0, 2.0)
    assert conformal(APS, *fit, [[30.0, 0.0]], [0]) == (1.0, 1.0)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0], ids=["underconfident", "calibrated", "overconfident"])
def test_nine_in_ten_labels_are_in_the_set_whatever_the_model(sharpness):
    rates = [
        [get(name).fn(*draw(200, seed, sharpness=sharpness), *draw(200, 1000 + seed, sharpness=sharpness))
         for name in (LAC[0], APS[0])]
        for seed in range(60)
    ]  # fmt: skip
    lac, aps = np.mean(rates, axis=0)
    assert lac == pytest.approx(0.902, abs=0.01)  # between 0.9 and 0.9 + 1 / 201
    assert 0.9 < aps < 1.0


def test_coverage_of_the_images_the_cutoff_was_set_on_counts_the_image_at_the_cutoff():
    logits, labels = draw(99, 0)
    assert get(LAC[0]).fn(logits, labels, logits, labels) == pytest.approx(90 / 99)
    assert get(APS[0]).fn(logits, labels, logits, labels) >= 90 / 99


@pytest.mark.parametrize("name", [*LAC, *APS])
def test_only_the_judged_images_are_resampled(name):
    fit, judged = draw(60, 1), draw(40, 2)
    prepared = get(name).weighted(*fit, *judged)
    assert prepared.sizes == (40,)
    weights = np.random.default_rng(0).poisson(1.0, (4, 40))
    for value, counts in zip(prepared(weights), weights, strict=True):
        again = np.repeat(np.arange(40), counts)
        assert value == pytest.approx(get(name).fn(*fit, judged[0][again], judged[1][again]), abs=1e-12)


def test_sets_of_sure_models_do_not_depend_on_probabilities_that_round_to_one():
    # Probabilities of classes 1 and 2 are far below the rounding of 1; the labels to fit on reach class 1.
    fit = [[100.0, 0.0, -100.0]] * 20, [1] * 20
    assert conformal(LAC, *fit, fit[0][:2], [0, 1]) == (1.0, 2.0)
    assert conformal(APS, *fit, fit[0][:2], [0, 1]) == (1.0, 2.0)


def test_a_labels_surprise_is_that_of_its_class_to_the_last_bit():
    logits, labels = draw(500, 3, classes=30, sharpness=9.0)
    answers = read_answers("test", logits, labels)
    found = np.concatenate([surprises(block) for _, block in answers.blocks()])
    np.testing.assert_array_equal(found[np.arange(500), labels], answers.surprise)


def test_what_follows_a_class_by_hand():
    np.testing.assert_allclose(tails(np.log([[0.2, 0.5, 0.3]])), [[0.5, 0.2, 0.0]], atol=1e-15)
    np.testing.assert_allclose(tails(np.array([[0.0, -300.0, -600.0]]))[0, :2], np.exp([-300.0, -600.0]), rtol=1e-13)
