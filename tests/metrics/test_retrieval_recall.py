from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError
from reliability.metrics import matches, retrieval
from reliability.metrics.registry import get, measure

IMAGE_TO_TEXT = [getattr(retrieval, f"image_to_text_recall_at_{k}") for k in (1, 5, 10)]
TEXT_TO_IMAGE = [getattr(retrieval, f"text_to_image_recall_at_{k}") for k in (1, 5, 10)]
NAMES = [fn.__name__ for fn in IMAGE_TO_TEXT + TEXT_TO_IMAGE]
both_ways = pytest.mark.parametrize("fns", [IMAGE_TO_TEXT, TEXT_TO_IMAGE], ids=["image to text", "text to image"])


def scene(images=20, captions=3, seed=0):
    """Images with several texts each that point the same way but for some noise."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(images, 16))
    owner = np.repeat(np.arange(images), captions)
    text = image[owner] + rng.normal(0, 0.1, (images * captions, 16))
    return [image, np.arange(images), text, owner]


@both_ways
def test_planted_matches_are_all_found(fns):
    assert [fn(*scene()) for fn in fns] == [1.0, 1.0, 1.0]


@both_ways
def test_unrelated_features_find_about_as_many_as_chance(fns):
    image, ids, text, owner = scene(400, 1, seed=1)
    text = np.random.default_rng(2).normal(size=text.shape)
    for fn, k in zip(fns, (1, 5, 10), strict=True):
        assert fn(image, ids, text, owner) == pytest.approx(k / 400, abs=0.02)


@both_ways
def test_a_model_that_gives_every_input_one_feature_scores_chance_and_not_one(fns):
    rows = np.tile(np.random.default_rng(3).normal(size=16), (40, 1))
    for fn, k in zip(fns, (1, 5, 10), strict=True):
        assert fn(rows, np.arange(40), rows, np.arange(40)) == pytest.approx(k / 40, abs=1e-12)


def test_constant_texts_with_several_right_ones_score_the_chance_of_drawing_one():
    image, ids, text, owner = scene(20, 2)
    # Of 40 texts in random order, 5 are drawn without replacement and 2 are right.
    missed = (38 * 37 * 36 * 35 * 34) / (40 * 39 * 38 * 37 * 36)
    assert IMAGE_TO_TEXT[1](image, ids, np.ones_like(text), owner) == pytest.approx(1 - missed)


def test_ranks_by_hand():
    # The right image is first for text 0, second for text 1 and tied with image 0 behind image 2 for text 2.
    image = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    text = [[1.0, 0.1], [1.0, 0.9], [-1.0, 1.0]]
    assert retrieval.text_to_image_recall_at_1(image, [0, 1, 2], text, [0, 1, 0]) == pytest.approx(1 / 3)
    assert retrieval.text_to_image_recall_at_1(image, [0, 1, 2], text, [0, 1, 2]) == pytest.approx((1 + 0 + 0.5) / 3)


def test_any_of_an_images_texts_will_do():
    image, ids, text, owner = scene()
    text[owner != np.roll(owner, 1)] = -text[owner != np.roll(owner, 1)]  # the first of each three now misleads
    assert IMAGE_TO_TEXT[0](image, ids, text, owner) == 1.0
    assert TEXT_TO_IMAGE[0](image, ids, text, owner) == pytest.approx(2 / 3)


def test_lengths_of_features_do_not_matter():
    image, ids, text, owner = scene()
    text = text + np.random.default_rng(4).normal(0, 1, text.shape)
    lengths = 10.0 ** np.random.default_rng(5).integers(-200, 200, len(text))
    before = measure(NAMES, image, ids, text, owner)
    assert before == pytest.approx(measure(NAMES, image * 1e-250, ids, text * lengths[:, None], owner))
    assert 0.2 < before["text_to_image_recall_at_1"] < 1.0


def test_ids_may_be_names_in_any_order():
    image, ids, text, owner = scene(seed=6)
    names = np.array([f"photo {i}" for i in ids])
    expected = TEXT_TO_IMAGE[0](image, ids, text, owner)
    order = np.random.default_rng(7).permutation(len(image))
    assert TEXT_TO_IMAGE[0](image[order], names[order], text, names[owner]) == expected
    assert TEXT_TO_IMAGE[0](image, names.tolist(), text.tolist(), names[owner].tolist()) == expected


def test_weights_repeat_queries_and_leave_the_gallery_as_it_is():
    image, ids, text, owner = scene(12, 2)
    text += np.random.default_rng(8).normal(0, 1, text.shape)
    weights = np.random.default_rng(9).integers(0, 4, (6, 12)).astype(np.uint8)
    asked_images = matches.Matches(*retrieval_inputs(image, text, owner)).of_images.hits(1)
    asked_texts = matches.Matches(*retrieval_inputs(image, text, owner)).of_texts.hits(1)
    by_image = get("image_to_text_recall_at_1").weighted(image, ids, text, owner)(weights)
    by_text = get("text_to_image_recall_at_1").weighted(image, ids, text, owner)(weights)
    for b, counts in enumerate(weights):
        assert by_image[b] == pytest.approx(np.repeat(asked_images, counts).mean())
        assert by_text[b] == pytest.approx(np.repeat(asked_texts, counts[owner]).mean())


def retrieval_inputs(image, text, owner):
    return [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text)] + [(owner, np.arange(len(owner)))]


def slow_recall(cosines, right, k):
    """Share of right pairs (row, column) whose row has some right column among its k largest; no ties."""
    top = [set(np.argsort(-row)[:k].tolist()) for row in cosines]
    return np.array(
        [bool(found & set(np.flatnonzero(wanted).tolist())) for found, wanted in zip(top, right, strict=True)]
    )


@pytest.mark.parametrize("k", [1, 5, 10])
def test_texts_that_are_true_of_several_images_agree_with_a_slow_count(k):
    rng = np.random.default_rng(11)
    image, text = rng.normal(size=(30, 6)), rng.normal(size=(18, 6))
    right = rng.random((18, 30)) < 0.1
    right[rng.integers(0, 18, 30), np.arange(30)] = True
    right[np.arange(18), rng.integers(0, 30, 18)] = True
    cosines = retrieval_inputs(image, text, [])[0] @ retrieval_inputs(image, text, [])[1].T
    found_texts, found_images = slow_recall(cosines, right.T, k), slow_recall(cosines.T, right, k)
    measured = measure([f"image_to_text_recall_at_{k}", f"text_to_image_recall_at_{k}"], image, range(30), text, right)
    assert measured[f"image_to_text_recall_at_{k}"] == pytest.approx(found_texts.mean())
    assert measured[f"text_to_image_recall_at_{k}"] == pytest.approx(found_images[np.nonzero(right)[0]].mean())


@both_ways
def test_a_matrix_with_one_image_for_each_text_says_what_ids_say(fns):
    image, ids, text, owner = scene(seed=12)
    text = text + np.random.default_rng(13).normal(0, 1, text.shape)
    for fn in fns:
        assert fn(image, ids, text, owner[:, None] == ids) == fn(image, ids, text, owner)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda right: right.T, "texts by images"),
        (lambda right: right.astype(float), "booleans"),
        (lambda right: right & (np.arange(len(right)) != 4)[:, None], r"(?s)belong to one of the images.*\[4\]"),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused(spoil, message):
    image, ids, text, owner = scene()
    with pytest.raises(UndefinedMetricError, match=message):
        IMAGE_TO_TEXT[0](image, ids, text, spoil(owner[:, None] == ids))


def test_a_resample_of_images_without_texts_has_no_value():
    image, ids, text, owner = scene(12, 2)
    values = get("text_to_image_recall_at_1").weighted(image, ids, text[2:], owner[2:])(np.eye(12, dtype=int))
    assert np.isnan(values[0])
    assert np.isfinite(values[1:]).all()


def test_blocks_of_queries_change_nothing(monkeypatch):
    inputs = scene(seed=10)
    inputs[2] = inputs[2] + np.random.default_rng(11).normal(0, 1, inputs[2].shape)
    whole = measure(NAMES, *inputs)
    monkeypatch.setattr(matches, "_BLOCK_VALUES", 1)
    assert measure(NAMES, *inputs) == whole


def refused(change):
    inputs = dict(zip(["image", "ids", "text", "owner"], scene(), strict=True))
    return list((inputs | change(**inputs)).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids, **_: {"ids": np.where(ids == 4, 3, ids)}, r"(?s)occur once.*row 3.*image_ids\[4\]"),
        (lambda owner, **_: {"owner": np.where(owner == 1, 99, owner)}, r"(?s)belong to one.*image_of_text\[3\].*99"),
        (lambda owner, **_: {"owner": owner.astype(str)}, r"belong to one of the images"),
        (lambda ids, **_: {"ids": ids + 0.5}, "whole numbers or names"),
        (lambda ids, **_: {"ids": ids[None]}, "whole numbers or names"),
        (lambda text, **_: {"text": text[:, :9]}, "16 and 9 dimensions"),
        (lambda text, **_: {"text": text * (np.arange(60) != 8)[:, None]}, r"text_features\[8\]"),
        (lambda image, **_: {"image": image * (np.arange(20) != 8)[:, None]}, r"image_features\[8\]"),
    ],
)
def test_texts_and_images_that_do_not_fit_are_refused(change, message):
    for fn in (IMAGE_TO_TEXT[0], TEXT_TO_IMAGE[0]):
        with pytest.raises(UndefinedMetricError, match=message):
            fn(*refused(change))


def test_an_image_without_a_text_can_be_found_but_finds_nothing():
    image, ids, text, owner = scene()
    left = owner != 7
    assert TEXT_TO_IMAGE[0](image, ids, text[left], owner[left]) == 1.0
    with pytest.raises(UndefinedMetricError, match=r"(?s)without a text.*image_features\[7\]"):
        IMAGE_TO_TEXT[0](image, ids, text[left], owner[left])


def test_a_gallery_in_which_everything_is_found_measures_nothing():
    image, ids, text, owner = scene(10, 1)
    for fns in (IMAGE_TO_TEXT, TEXT_TO_IMAGE):
        assert fns[1](image, ids, text, owner) == 1.0
        with pytest.raises(UndefinedMetricError, match="everything is found"):
            fns[2](image, ids, text, owner)
