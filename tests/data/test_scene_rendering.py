from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.data.scenes.captions import CLEAN, WEB, CaptionNoise, captions
from reliability.data.scenes.far import FAR_KINDS, render_far
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import Population, sample
from reliability.data.scenes.vocabulary import (
    ALL_BACKGROUNDS,
    ALL_SHAPES,
    COLOURS,
    FILLS,
    SHAPES,
    SPURIOUS_TIES,
    TIE_STRENGTH,
    UNSEEN_BACKGROUNDS,
    UNSEEN_SHAPES,
    fine_class_names,
)

COUNT = 300
"""More than the renderer's chunk of 256, so that both sides of its edge are seen."""

TRAINING_QUARTERS = [
    [[136.2, 135.8], [122.2, 125.8]],
    [[109.4, 141.0], [119.2, 118.8]],
    [[84.4, 111.0], [85.1, 97.9]],
]


@pytest.fixture(scope="module")
def whole():
    return render(sample("test", 0, np.arange(COUNT)), 16)


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=40))
def test_any_subset_in_any_order_has_the_same_pixels(whole, rows):
    assert np.array_equal(render(sample("test", 0, np.array(rows)), 16), whole[rows])


@settings(max_examples=5, deadline=None)
@given(size=st.integers(1, 40))
def test_far_pictures_do_not_depend_on_their_batch(size):
    indices = np.arange(40)
    whole = render_far(sample("test", 0, indices), indices % 4, 16)
    parts = [
        render_far(sample("test", 0, part), part % 4, 16) for part in np.split(indices, range(size, len(indices), size))
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_training_pictures_are_those_that_models_were_trained_on():
    """Mean level of the quarters of the first training pictures, from the renderer that trained the zoo.

    The tolerance lets another processor round a pixel differently.
    """
    images = render(sample("zoo-train", 0, np.arange(3)), 32).astype(float)
    quarters = images.reshape(3, 2, 16, 2, 16, 3).mean(axis=(2, 4, 5))
    np.testing.assert_allclose(quarters, TRAINING_QUARTERS, atol=0.2)


def test_nothing_to_render_is_an_empty_array():
    assert render(sample("test", 0, np.arange(0)), 16).shape == (0, 16, 16, 3)


def test_every_shape_is_distinct_and_visible():
    base = sample("test", 0, np.zeros(len(ALL_SHAPES), dtype=np.int64))
    scenes = replace(base, shape=np.arange(len(ALL_SHAPES)), radius=np.full(len(ALL_SHAPES), 0.4, np.float32))
    images = render(scenes, 32).astype(float)
    bare = render(scenes, 32, outline=None).astype(float)
    assert (np.abs(images - bare).mean(axis=(1, 2, 3)) > 2).all()
    differences = np.abs(images[:, None] - images[None]).mean(axis=(2, 3, 4))
    assert (differences[~np.eye(len(ALL_SHAPES), dtype=bool)] > 0.5).all()


@pytest.mark.parametrize("background", ALL_BACKGROUNDS)
def test_backgrounds_vary_between_pictures(background):
    images = render(sample("test", 0, np.arange(2), Population(backgrounds=(background,))), 32, outline=None)
    assert not np.array_equal(images[0], images[1])


def test_far_kinds_show_what_they_say():
    scenes = sample("test", 0, np.arange(64))
    by_kind = {name: render_far(scenes, np.full(64, i), 32).astype(float) for i, name in enumerate(FAR_KINDS)}
    bare = render(scenes, 32, outline=None).astype(float)
    assert np.array_equal(by_kind["background"], bare)
    changed = (np.abs(by_kind["blob"] - bare) > 12).any(axis=3).mean(axis=(1, 2))
    assert (changed > 0.03).all(), "every blob is visible"
    assert (changed < 0.9).all(), "its background too"
    assert by_kind["noise"].std() > 40


def test_clean_captions_name_what_is_shown():
    scenes = sample("test", 0, np.arange(2000))
    for caption, shape, colour, fill, background in zip(
        captions(scenes, CLEAN), scenes.shape, scenes.colour, scenes.fill, scenes.background, strict=True
    ):
        words = caption.rstrip(".").split()
        assert words.count(SHAPES[shape]) == 1
        assert set(words) & set(COLOURS) == {list(COLOURS)[colour]}
        assert set(words) & set(FILLS) <= {FILLS[fill]}
        assert set(words) & set(ALL_BACKGROUNDS) <= {ALL_BACKGROUNDS[background]}
        assert not set(words) & {*UNSEEN_SHAPES, *UNSEEN_BACKGROUNDS}


def test_caption_noise_occurs_at_its_rates():
    scenes = sample("test", 0, np.arange(4000))
    texts = captions(scenes, CaptionNoise(wrong_shape=0.12, no_colour=0.2))
    named = np.array(
        [SHAPES[shape] in text.rstrip(".").split() for shape, text in zip(scenes.shape, texts, strict=True)]
    )
    coloured = np.array([bool(set(text.split()) & set(COLOURS)) for text in texts])
    assert 1 - named.mean() == pytest.approx(0.12, abs=0.025)
    assert 1 - coloured.mean() == pytest.approx(0.2, abs=0.025)


def test_captions_do_not_depend_on_the_batch():
    rows = np.array([7, 3, 250, 3])
    whole = captions(sample("test", 0, np.arange(300)), WEB)
    assert captions(sample("test", 0, rows), WEB) == [whole[row] for row in rows]


@pytest.mark.parametrize("population", [Population(shapes=UNSEEN_SHAPES), Population(backgrounds=UNSEEN_BACKGROUNDS)])
def test_held_out_scenes_have_no_caption(population):
    with pytest.raises(ValueError, match="held-out"):
        captions(sample("test", 0, np.arange(4), population))


def test_fine_labels_index_the_class_names():
    scenes = sample("test", 0, np.arange(500))
    names = np.array(fine_class_names())[scenes.fine_label]
    expected = [f"{list(COLOURS)[c]} {SHAPES[s]}" for c, s in zip(scenes.colour, scenes.shape, strict=True)]
    assert names.tolist() == expected


@pytest.mark.parametrize(("strength", "expected"), [(TIE_STRENGTH, 0.95), (0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])
def test_tied_shapes_stand_on_their_background_as_often_as_the_population_says(strength, expected):
    scenes = sample("test", 0, np.arange(4000), Population(tie_strength=strength))
    tied = np.isin(scenes.shape, [SHAPES.index(shape) for shape in SPURIOUS_TIES])
    assert scenes.on_own_background[tied].mean() == pytest.approx(expected, abs=0.04)
    assert not scenes.on_own_background[~tied].any()


def test_counter_examples_use_all_other_backgrounds():
    scenes = sample("test", 0, np.arange(4000), Population(shapes=("star",), tie_strength=0.0))
    shown = {ALL_BACKGROUNDS[b] for b in np.unique(scenes.background)}
    assert shown == set(Population().backgrounds) - {SPURIOUS_TIES["star"]}


def test_class_and_pose_are_drawn_independently_of_each_other():
    scenes = sample("test", 0, np.arange(6000))
    table = np.histogram2d(scenes.colour, scenes.shape, bins=(len(COLOURS), len(SHAPES)))[0]
    assert table.min() > 20
    assert abs(np.corrcoef(scenes.radius, scenes.angle)[0, 1]) < 0.06
