"""Promises every registered score keeps; a new score is under test the moment it is registered."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.ood import auroc
from reliability.metrics.scores import SCORES, Evidence, get_score

FITTED = [name for name, score in sorted(SCORES.items()) if "training" in score.needs]
every_score = pytest.mark.parametrize("name", sorted(SCORES))
every_fitted_score = pytest.mark.parametrize("name", FITTED)
NEEDS = [(name, field) for name, score in sorted(SCORES.items()) for field in sorted(score.needs)]


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@every_score
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_its_slow_oracle(name, other_worlds, oracles, seed):
    world = other_worlds(seed)
    for evidence in (world.familiar, world.unfamiliar):
        got = world.scorer(name)(evidence)
        assert got.dtype == np.float64
        assert got.shape == (40,)
        np.testing.assert_allclose(got, world.oracle(oracles, name, evidence), rtol=1e-9, atol=1e-11)


@every_score
def test_clearly_unfamiliar_images_score_lower(name, world):
    scorer = world.scorer(name)
    assert auroc(scorer(world.familiar), scorer(world.unfamiliar)) > 0.97


@every_score
def test_inputs_are_left_as_they_were(name, world):
    arrays = {key: value for key, value in vars(world.familiar).items() if isinstance(value, np.ndarray)}
    copies = {key: value.copy() for key, value in arrays.items()}
    world.scorer(name)(world.familiar)
    assert arrays
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, copies[key])


@every_score
def test_rows_are_scored_one_by_one(name, world, some_rows):
    scorer = world.scorer(name)
    together = scorer(world.familiar)
    alone = np.concatenate([scorer(some_rows(world.familiar, [i])) for i in range(len(together))])
    halves = np.concatenate([scorer(some_rows(world.familiar, rows)) for rows in (slice(0, 17), slice(17, None))])
    close(alone, together)
    close(halves, together)


@every_score
def test_reordered_images_have_reordered_scores(name, world, some_rows):
    scorer, order = world.scorer(name), np.random.default_rng(0).permutation(40)
    close(scorer(some_rows(world.familiar, order)), scorer(world.familiar)[order])


@every_fitted_score
def test_the_order_of_training_images_does_not_matter(name, world, some_rows):
    shuffled = some_rows(world.training, np.random.default_rng(0).permutation(400))
    expected = world.scorer(name)(world.familiar)
    np.testing.assert_allclose(world.scorer(name, shuffled)(world.familiar), expected, rtol=1e-9, atol=1e-12)


@every_score
def test_one_fit_serves_any_number_of_image_sets(name, world):
    scorer = world.scorer(name)
    first = scorer(world.familiar)
    scorer(world.unfamiliar)
    assert np.array_equal(scorer(world.familiar), first)


@every_score
def test_inputs_are_left_as_they_are(name, world, some_rows):
    evidence, training = some_rows(world.familiar, slice(None)), some_rows(world.training, slice(None))
    world.scorer(name, training)(evidence)
    for field in ("cosines", "features", "patch_cosines", "negative_cosines", "text"):
        assert np.array_equal(getattr(evidence, field), getattr(world.familiar, field))
    assert np.array_equal(training.features, world.training.features)


@every_score
def test_only_scores_that_say_so_depend_on_the_logit_scale(name, world):
    values = []
    for scale in (10.0, 90.0):
        scorer = world.scorer(name, replace(world.training, logit_scale=scale))
        values.append(scorer(replace(world.familiar, logit_scale=scale)))
    assert np.array_equal(*values) is not SCORES[name].uses_logit_scale


@every_score
def test_a_score_sees_nothing_that_it_does_not_say_it_needs(name, world):
    unneeded = {"features", "text", "patch_cosines", "negative_cosines"} - SCORES[name].needs
    without = replace(world.familiar, **dict.fromkeys(unneeded))
    assert np.array_equal(world.scorer(name)(without), world.scorer(name)(world.familiar))


@every_score
def test_the_norm_of_features_does_not_matter(name, world):
    scaled = replace(world.familiar, features=1e-200 * world.familiar.features, text=1e200 * world.familiar.text)
    training = replace(world.training, features=1e160 * world.training.features)
    np.testing.assert_allclose(
        world.scorer(name, training)(scaled), world.scorer(name)(world.familiar), rtol=1e-9, atol=1e-12
    )


@every_score
def test_single_precision_and_lists_are_read_alike(name, world):
    single = Evidence(
        **{
            field: np.asarray(value, dtype=np.float32) if field != "logit_scale" else value
            for field, value in vars(world.familiar).items()
        }
    )
    listed = Evidence(
        **{field: value.tolist() if isinstance(value, np.ndarray) else value for field, value in vars(single).items()}
    )
    scorer = world.scorer(name)
    assert np.array_equal(scorer(single), scorer(listed))
    np.testing.assert_allclose(scorer(single), scorer(world.familiar), rtol=1e-3, atol=1e-3)


@every_score
def test_evidence_may_be_given_as_its_parts(name, world):
    parts = dict(vars(world.familiar))
    cosines, scale = parts.pop("cosines"), parts.pop("logit_scale")
    scorer = world.scorer(name)
    assert np.array_equal(scorer(cosines, scale, **parts), scorer(world.familiar))


@every_score
@pytest.mark.parametrize("scale", [100.0, 400.0])
@pytest.mark.filterwarnings("error")
def test_cosines_at_the_ends_of_their_range_give_finite_scores(name, world, scale):
    sure = np.where(np.arange(5) == np.arange(40)[:, None] % 5, 1.0, -1.0)
    evidence = replace(world.familiar, cosines=sure, logit_scale=scale)
    training = replace(world.training, cosines=np.tile(sure, (10, 1)), logit_scale=scale)
    training = replace(training, labels=np.tile(np.arange(5), 80))
    assert np.isfinite(world.scorer(name, training)(evidence)).all()


@pytest.mark.parametrize(("name", "field"), NEEDS)
def test_a_score_without_what_it_needs_says_what_to_pass(name, field, world):
    scorer = get_score(name).fn if field == "training" else world.scorer(name)
    evidence = world.familiar if field == "training" else replace(world.familiar, **{field: None})
    with pytest.raises(UsageError) as caught:
        scorer(evidence)
    assert caught.value.where == f"{name}: {field}"
    assert f"{name} needs" in caught.value.what
    assert "fit(" in caught.value.next if field == "training" else f"{field}=" in caught.value.next


@every_fitted_score
@pytest.mark.parametrize("given", [None, "images"])
def test_fitting_on_no_training_set_is_refused(name, given):
    with pytest.raises(UsageError, match="labelled in-distribution images"):
        get_score(name).fit(given)


@every_score
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_number_is_named_with_its_place(name, world, bad):
    scorer = world.scorer(name)
    for field in {"cosines"} | (SCORES[name].needs - {"training"}):
        values = np.array(getattr(world.familiar, field))
        values[(3, *[0] * (values.ndim - 1))] = bad
        with pytest.raises(UndefinedMetricError) as caught:
            scorer(replace(world.familiar, **{field: values}))
        assert caught.value.where.startswith(f"{name}: {field}[3, 0")
        assert str(caught.value.got) == str(bad)


@every_fitted_score
@pytest.mark.parametrize(
    ("field", "place", "value", "where"),
    [
        ("features", (3, 0), np.nan, "training.features[3, 0]"),
        ("cosines", (3, 0), np.inf, "training.cosines[3, 0]"),
        ("cosines", (3, 0), 25.0, "training.cosines[3, 0]"),
        ("features", 3, 0.0, "training.features[3]"),
        ("labels", 3, 5, "training.labels[3]"),
        ("labels", 3, -1, "training.labels[3]"),
    ],
)
def test_a_bad_value_of_the_training_set_is_named_with_its_place(name, world, field, place, value, where):
    values = getattr(world.training, field).copy()
    values[place] = value
    with pytest.raises(UndefinedMetricError) as caught:
        world.scorer(name, replace(world.training, **{field: values}))
    assert caught.value.where == f"{name}: {where}"


@every_fitted_score
@pytest.mark.parametrize("field", ["features", "cosines", "labels"])
def test_a_missing_row_of_the_training_set_is_refused(name, world, field):
    with pytest.raises(UndefinedMetricError, match="number of training images"):
        world.scorer(name, replace(world.training, **{field: getattr(world.training, field)[:-1]}))


@every_score
def test_empty_input_is_refused(name, world, some_rows):
    with pytest.raises(UndefinedMetricError, match="no images"):
        world.scorer(name)(some_rows(world.familiar, slice(0)))


@every_score
@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_senseless_logit_scale_is_refused(name, world, scale):
    with pytest.raises(UndefinedMetricError, match="scale must be positive"):
        world.scorer(name)(replace(world.familiar, logit_scale=scale))


@every_score
def test_logits_in_place_of_cosines_are_refused_with_their_place(name, world):
    logits = world.familiar.cosines.copy()
    logits[3, 1] = 25.0
    with pytest.raises(UndefinedMetricError) as caught:
        world.scorer(name)(replace(world.familiar, cosines=logits))
    assert caught.value.where == f"{name}: cosines[3, 1]"


@every_score
def test_a_missing_image_or_class_is_refused(name, world):
    needed = {"cosines"} | (SCORES[name].needs - {"training"})
    for field in needed - {"text"} if len(needed - {"text"}) > 1 else ():
        with pytest.raises(UndefinedMetricError, match="agree in their number of images"):
            world.scorer(name)(replace(world.familiar, **{field: getattr(world.familiar, field)[:-1]}))
    for field in needed & {"patch_cosines", "text"}:
        fewer = getattr(world.familiar, field)
        fewer = fewer[:-1] if field == "text" else fewer[..., :-1]
        with pytest.raises(UndefinedMetricError, match="agree in their number of classes"):
            world.scorer(name)(replace(world.familiar, **{field: fewer}))


@every_score
def test_is_described_for_reports_and_documented(name):
    score = SCORES[name]
    assert score.name == name
    assert score.summary.endswith(".")
    documented = score.fit if "training" in score.needs else score.fn
    doc = inspect.getdoc(documented)
    for part in ("Args:", "Raises:", "Conventions:", "Source:"):
        assert part in doc
    assert "eparture" in doc
    assert ">>> " in doc
    assert documented.__name__ == name
