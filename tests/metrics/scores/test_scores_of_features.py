"""Fitted scores on sets small enough to work out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.scores import Evidence, Training, get_score
from reliability.metrics.scores import neighbours as neighbours_module
from reliability.metrics.scores.subspace import principal_dimensions


def angle(degrees):
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def on_circle(*degrees):
    return np.array([angle(d) for d in degrees])


AXES = np.eye(2)


def training(features, labels, scale=1.0, text=AXES):
    return Training(features, labels, np.asarray(features) @ text.T, scale)


def evidence(features, scale=1.0, text=AXES):
    return Evidence(np.asarray(features) @ text.T, scale, features, text)


def score(name, fitted_on, images):
    return get_score(name).fit(fitted_on)(images)


def test_she_multiplies_with_the_mean_of_the_correctly_classified():
    # The image at 80 degrees is labelled 0 but predicted 1, so it shapes no pattern.
    fitted_on = training(on_circle(0, 20, 80, 90), [0, 0, 0, 1])
    got = score("she", fitted_on, evidence(on_circle(10, 60)))
    assert got == pytest.approx([math.cos(math.radians(10)), math.cos(math.radians(30))])


def test_she_refuses_an_image_of_a_class_that_was_never_right():
    fitted_on = training(on_circle(0, 10), [0, 1])
    with pytest.raises(UndefinedMetricError) as caught:
        score("she", fitted_on, evidence(on_circle(0, 80)))
    assert caught.value.where == "she: predicted class[1]"
    assert caught.value.got == 1


def test_fdbd_is_the_distance_to_the_bisector_per_distance_from_the_centre():
    # Two classes on the axes: their boundary is the diagonal, which 75 degrees is 30 degrees away from.
    fitted_on = training(on_circle(0, 90), [0, 1])
    got = score("fdbd", fitted_on, evidence(on_circle(75)))
    from_centre = math.dist(angle(75), (0.5, 0.5))
    assert got == pytest.approx([math.sin(math.radians(30)) / from_centre])


def test_fdbd_refuses_two_classes_that_are_one():
    text = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    images = Evidence(on_circle(10) @ np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).T, 1.0, on_circle(10), text)
    fitted_on = Training(on_circle(0, 90), [0, 1], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], 1.0)
    with pytest.raises(UndefinedMetricError) as caught:
        score("fdbd", fitted_on, images)
    assert caught.value.where == "fdbd: text[0, 2]"


def test_fdbd_refuses_an_image_at_the_centre():
    fitted_on = training(on_circle(30, 30), [0, 0])
    with pytest.raises(UndefinedMetricError, match="no finite value"):
        score("fdbd", fitted_on, evidence(on_circle(30)))


def test_kl_matching_by_hand():
    # Predicted as class 0 with probabilities (.8, .2) and (.6, .4): usually (.7, .3). Nothing is predicted as class 1.
    scale = 10.0
    gaps = [math.log(0.8 / 0.2) / scale, math.log(0.6 / 0.4) / scale]
    fitted_on = Training(on_circle(0, 90), [0, 1], [[gap, 0.0] for gap in gaps], scale)
    got = score("kl_matching", fitted_on, Evidence([[0.0, 0.0]], scale))
    assert got == pytest.approx([-(0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3))])


def test_kl_matching_is_zero_for_an_image_as_usual():
    fitted_on = Training(on_circle(0, 90), [1, 0], [[0.3, 0.1], [0.1, 0.3]], 100.0)
    assert score("kl_matching", fitted_on, Evidence([[0.3, 0.1]], 100.0)) == pytest.approx([0.0], abs=1e-12)


def test_kl_matching_finds_the_class_of_the_opposite_certainty_finitely_far():
    fitted_on = Training(on_circle(0), [0], [[1.0, -1.0]], 1000.0)
    # p is (e^-2000, 1) and the usual probabilities are the reverse: 2000 nats.
    assert score("kl_matching", fitted_on, Evidence([[-1.0, 1.0]], 1000.0)) == pytest.approx([-2000.0])


def test_a_score_fitted_at_another_logit_scale_is_refused(world):
    for name in ("kl_matching", "vim", "nnguide"):
        with pytest.raises(UsageError, match="one logit scale"):
            world.scorer(name)(replace(world.familiar, logit_scale=99.0))
    world.scorer("knn")(replace(world.familiar, logit_scale=99.0))


def test_mahalanobis_measures_in_the_spread_about_class_means():
    # Features of norm 1 on two arcs: both classes spread equally about their means.
    fitted_on = training(on_circle(-10, 10, 80, 100), [0, 0, 1, 1])
    features = on_circle(-10, 10, 80, 100)
    means = features.reshape(2, 2, 2).mean(axis=1)
    apart = features - np.repeat(means, 2, axis=0)
    inverse = np.linalg.inv(apart.T @ apart / 4)
    image = np.array(angle(30))
    by_hand = -min((image - mean) @ inverse @ (image - mean) for mean in means)
    assert score("mahalanobis", fitted_on, evidence([angle(30)])) == pytest.approx([by_hand])


def test_mahalanobis_does_not_change_under_rotation(world):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(0, 1, (12, 12)))[0]
    turned = replace(world.familiar, features=world.familiar.features @ rotation)
    fitted_on = replace(world.training, features=world.training.features @ rotation)
    for name in ("mahalanobis", "relative_mahalanobis", "residual", "knn"):
        np.testing.assert_allclose(
            world.scorer(name, fitted_on)(turned), world.scorer(name)(world.familiar), rtol=1e-8
        )  # fmt: skip


def test_relative_mahalanobis_of_a_single_class_is_zero(world):
    fitted_on = replace(world.training, labels=np.full(400, 3))
    assert world.scorer("relative_mahalanobis", fitted_on)(world.familiar) == pytest.approx(0.0, abs=1e-9)


def test_with_fewer_training_images_than_dimensions_mahalanobis_counts_their_span_only(world, some_rows):
    few = some_rows(world.training, slice(0, 10))
    scorer = world.scorer("mahalanobis", few)
    features = world.familiar.features / np.linalg.norm(world.familiar.features, axis=1, keepdims=True)
    bank = few.features / np.linalg.norm(few.features, axis=1, keepdims=True)
    means = {k: bank[few.labels == k].mean(axis=0) for k in np.unique(few.labels)}
    apart = bank - np.array([means[k] for k in few.labels])
    inverse = np.linalg.pinv(apart.T @ apart / 10, rcond=1e-10, hermitian=True)
    by_hand = [-min((z - m) @ inverse @ (z - m) for m in means.values()) for z in features]
    np.testing.assert_allclose(scorer(world.familiar), by_hand, rtol=1e-6)


@pytest.mark.parametrize("name", ["mahalanobis", "relative_mahalanobis"])
def test_classes_without_spread_have_no_mahalanobis_distance(name):
    with pytest.raises(UndefinedMetricError, match="do not differ"):
        score(name, training(on_circle(0, 0, 90, 90, 90), [0, 0, 1, 1, 1]), evidence(on_circle(30)))


def test_knn_is_the_distance_to_the_fiftieth_neighbour():
    fitted_on = training(on_circle(*range(60)), [0] * 60)
    # From 0 degrees the neighbours are at 0, 1, 2, ...: the fiftieth is 49 degrees away.
    got = score("knn", fitted_on, evidence(on_circle(0)))
    assert got == pytest.approx([-2 * math.sin(math.radians(24.5))])


def test_knn_keeps_the_digits_of_tiny_distances():
    fitted_on = training(np.tile([1.0, 0.0], (50, 1)), [0] * 50)
    image = np.array([[1.0, 1e-9]])
    assert score("knn", fitted_on, evidence(image))[0] == pytest.approx(-1e-9, rel=1e-12)


def test_nnguide_multiplies_energy_with_the_guidance_of_ten_neighbours():
    fitted_on = training(np.vstack([on_circle(*[0] * 10), on_circle(*[90] * 30)]), [0] * 10 + [1] * 30)
    height = math.log(math.e + 1)
    image = angle(30)
    own = math.log(math.exp(image[0]) + math.exp(image[1]))
    # All forty have one energy, so the nearest are the ten at 0 degrees.
    assert score("nnguide", fitted_on, evidence([image])) == pytest.approx([own * height * math.cos(math.pi / 6)])


@pytest.mark.parametrize("name", ["knn", "nnguide"])
def test_neighbours_found_in_blocks_are_those_found_at_once(name, world, monkeypatch):
    at_once = world.scorer(name)(world.familiar)
    for values in (1, 450, 1000):
        monkeypatch.setattr(neighbours_module, "_BLOCK_VALUES", values)
        np.testing.assert_allclose(world.scorer(name)(world.familiar), at_once, rtol=1e-12)


@pytest.mark.parametrize(("name", "enough"), [("knn", 50), ("nnguide", 10), ("vim", 7), ("residual", 7)])
def test_too_few_training_images_are_refused(name, enough, world, some_rows):
    scorer = world.scorer(name, some_rows(world.training, slice(0, enough)))
    assert np.isfinite(scorer(world.familiar)).all()
    with pytest.raises(UndefinedMetricError, match="training images"):
        world.scorer(name, some_rows(world.training, slice(0, enough - 1)))


def test_residual_is_what_the_principal_direction_leaves():
    # Half of two dimensions is principal: the direction at 0 degrees, by symmetry.
    fitted_on = training(on_circle(-5, 5, 0), [0, 0, 0])
    assert score("residual", fitted_on, evidence(on_circle(30))) == pytest.approx([-0.5])


def test_vim_makes_the_mean_virtual_logit_the_mean_largest_logit():
    scale = 10.0
    fitted_on = training(on_circle(-5, 5, 0), [0, 0, 0], scale)
    largest = scale * (2 * math.cos(math.radians(5)) + 1) / 3
    alpha = largest / (2 * math.sin(math.radians(5)) / 3)
    logits = [scale * x for x in angle(30)]
    height = math.log(sum(math.exp(x) for x in logits))
    assert score("vim", fitted_on, evidence(on_circle(30), scale)) == pytest.approx([height - alpha * 0.5])


def test_vim_has_no_scale_where_logits_are_negative_or_nothing_is_left_over(world):
    below = replace(world.training, cosines=-np.abs(world.training.cosines) - 1e-3)
    flat = replace(world.training, features=world.training.features * (np.arange(12) < 6))
    for fitted_on in (below, flat):
        with pytest.raises(UndefinedMetricError, match="must be positive"):
            world.scorer("vim", fitted_on)


def test_principal_dimensions_leave_a_residual_at_every_size():
    for dimensions in [*range(2, 800), 1024, 2048, 4096]:
        assert 0 < principal_dimensions(dimensions) < dimensions
