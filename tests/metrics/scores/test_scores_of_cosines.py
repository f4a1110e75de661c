from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from reliability.metrics.ood import auroc
from reliability.metrics.scores import get_score
from reliability.metrics.scores.concepts import gl_mcm, neglabel
from reliability.metrics.scores.logits import energy, entropy, gen, margin, max_logit, mcm, msp

CONFIDENCE_LIKE = [mcm, msp, max_logit, energy, entropy, margin, gen]


def exact_probabilities(row, scale):
    getcontext().prec = 80
    terms = [(Decimal(scale) * Decimal(x)).exp() for x in row]
    return [term / sum(terms) for term in terms]


@pytest.mark.parametrize("score", CONFIDENCE_LIKE)
def test_a_higher_cosine_with_one_class_never_lowers_the_score(score):
    clear = np.full((2, 5), 0.1)
    clear[:, 2] = [0.2, 0.3]
    low, high = score(clear, 30.0)
    assert high > low


def test_scores_of_one_image_by_hand():
    row = [[1.0, 0.0]]
    p = math.exp(2) / (math.exp(2) + 1)
    assert mcm(row, 100.0)[0] == pytest.approx(math.e / (math.e + 1))
    assert msp(row, 2.0)[0] == pytest.approx(p)
    assert max_logit(row, 2.0)[0] == 1.0
    assert energy(row, 2.0)[0] == pytest.approx(math.log(math.exp(2) + 1))
    assert entropy(row, 2.0)[0] == pytest.approx(p * math.log(p) + (1 - p) * math.log(1 - p))
    assert margin(row, 2.0)[0] == pytest.approx(2 * p - 1)
    assert gen(row, 2.0)[0] == pytest.approx(-2 * (p * (1 - p)) ** 0.1)


def test_scores_of_an_image_like_all_classes_alike():
    row = [[0.3, 0.3, 0.3, 0.3]]
    assert msp(row, 100.0)[0] == 0.25
    assert entropy(row, 100.0)[0] == pytest.approx(-math.log(4), rel=1e-15)
    assert margin(row, 100.0)[0] == 0.0
    assert gen(row, 100.0)[0] == pytest.approx(-4 * (3 / 16) ** 0.1)


def test_energy_does_not_overflow():
    assert energy([[1.0, -1.0]], 1e4)[0] == 1e4


@pytest.mark.parametrize("scale", [1, 30, 100, 300])
def test_entropy_margin_and_gen_keep_their_digits_where_the_confidence_rounds_to_one(scale):
    rows = [[1.0, -1.0, 0.5], [0.75, 0.5, 0.25], [0.25, 0.25, -0.5], [1.0, 1.0 - 2**-20, -1.0]]
    for row, h, m, g in zip(rows, entropy(rows, scale), margin(rows, scale), gen(rows, scale), strict=True):
        p = exact_probabilities(row, scale)
        two = sorted(p)[-2:]
        assert h == pytest.approx(float(sum(x * x.ln() for x in p)), rel=1e-13)
        assert m == pytest.approx(float(two[1] - two[0]), rel=1e-13)
        assert g == pytest.approx(float(-sum((x * (1 - x)) ** Decimal("0.1") for x in p)), rel=1e-13)


def test_images_whose_confidences_tie_at_one_are_told_apart_by_entropy_and_gen():
    rows = [[0.9, 0.0], [0.8, 0.0]]
    assert msp(rows, 100.0).tolist() == [1.0, 1.0]
    assert entropy(rows, 100.0)[0] > entropy(rows, 100.0)[1]
    assert gen(rows, 100.0)[0] > gen(rows, 100.0)[1]


def test_gen_sums_the_hundred_largest_probabilities_only():
    rng = np.random.default_rng(0)
    rows = np.sort(rng.uniform(-0.2, 0.4, (3, 130)))
    p = np.exp(20 * rows) / np.exp(20 * rows).sum(axis=1, keepdims=True)
    terms = (p * (1 - p)) ** 0.1
    np.testing.assert_allclose(gen(rows, 20.0), -terms[:, 30:].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(gen(rows[:, 30:], 20.0), gen(np.roll(rows[:, 30:], 7, axis=1), 20.0), rtol=1e-12)


def test_softmax_of_raw_cosines_and_of_logits_rank_images_differently():
    # One image is like one class a little more than the others; the second is like two classes and unlike a third.
    single, double = [0.30, 0.20, 0.20], [0.30, 0.29, -0.50]
    assert msp([single], 100.0) > msp([double], 100.0)
    assert mcm([single], 100.0) < mcm([double], 100.0)
    assert auroc(msp([single], 100.0), msp([double], 100.0)) == 1.0
    assert auroc(mcm([single], 100.0), mcm([double], 100.0)) == 0.0


def test_mcm_is_msp_at_logit_scale_one():
    rows = np.random.default_rng(0).uniform(-0.2, 0.4, (30, 6))
    assert np.array_equal(mcm(rows, 100.0), msp(rows, 1.0))


def test_gl_mcm_takes_the_best_patch_whatever_its_class():
    cosines, patches = [[1.0, 0.0]], [[[0.5, 0.5], [0.0, 0.8], [0.1, 0.0]]]
    by_hand = math.e / (math.e + 1) + math.exp(0.8) / (math.exp(0.8) + 1)
    assert gl_mcm(cosines, 100.0, patch_cosines=patches)[0] == pytest.approx(by_hand)


def test_neglabel_by_hand():
    cosines, negatives = [[0.02, 0.01]], [[0.01, 0.0]]
    familiar = math.exp(2) + math.exp(1)
    by_hand = (familiar / (familiar + math.exp(1)) + familiar / (familiar + 1)) / 2
    assert neglabel(cosines, 1.0, negative_cosines=negatives)[0] == pytest.approx(by_hand)


def test_negative_labels_beyond_a_hundred_share_groups():
    rng = np.random.default_rng(1)
    cosines, negatives = rng.uniform(0.0, 0.05, (1, 4)), rng.uniform(0.0, 0.05, (1, 250))
    familiar, rivals = np.exp(cosines / 0.01).sum(), np.exp(negatives[0] / 0.01)
    shares = [familiar / (familiar + rivals[g::100].sum()) for g in range(100)]
    assert neglabel(cosines, 1.0, negative_cosines=negatives)[0] == pytest.approx(np.mean(shares), rel=1e-12)


def test_neglabel_is_lower_where_a_negative_label_fits_better():
    negatives = [[0.1, 0.2], [0.1, 0.3]]
    first, second = neglabel([[0.25, 0.2]] * 2, 1.0, negative_cosines=negatives)
    assert first > second


def test_scores_without_further_needs_are_found_by_name_and_called_with_plain_arrays():
    assert get_score("mcm").fn is mcm
    assert get_score("mcm").needs == frozenset()
    assert get_score("mcm").fit(None) is mcm
