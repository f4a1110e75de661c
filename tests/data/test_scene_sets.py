"""Each embedded set shows what its card says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.data.counter_rng import choice
from reliability.data.registry import open_data
from reliability.data.scenes.captions import captions
from reliability.data.scenes.glyphs import GLYPHS, glyph_outline
from reliability.data.scenes.modes import MODES
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import Population, sample
from reliability.data.scenes.sets import SHIFTED, SOURCES
from reliability.data.scenes.tasks import COLOUR_PROMPTS, HELD_OUT, KEPT, SHAPE_PROMPTS
from reliability.data.scenes.textures import NOISE, TEXTURES
from reliability.data.scenes.vocabulary import (
    ALL_BACKGROUNDS,
    ALL_SHAPES,
    BACKGROUNDS,
    COLOURS,
    COUNTER_BACKGROUNDS,
    EVERY_TIE,
    FADED,
    HELD_OUT_PAIRS,
    SHAPES,
    SPURIOUS_TIES,
    UNSEEN_COLOURS,
    fine_class_names,
)

BY_NAME = {source.name: source for source in SOURCES}
FAR = ("backgrounds", "textures", "noise", "glyphs", "blobs")


def shown(name, count=1000):
    return BY_NAME[name].scenes(np.arange(count))


def pictures(name, count=48):
    return next(BY_NAME[name].first(count).batches(count))


def levels(batch):
    return np.stack(batch.images).astype(float)


def pairs_of(scenes):
    return {(SHAPES[s], list(COLOURS)[c]) for s, c in zip(scenes.shape, scenes.colour, strict=True)}


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(sorted(BY_NAME)), size=st.integers(1, 30))
def test_batch_size_changes_nothing_in_any_set(name, size):
    source, whole = BY_NAME[name].first(24), pictures(name, 24)
    parts = list(source.batches(size))
    assert np.array_equal(np.concatenate([np.stack(part.images) for part in parts]), np.stack(whole.images))
    for column in ("labels", "groups", "ids"):
        assert np.array_equal(np.concatenate([getattr(part, column) for part in parts]), getattr(whole, column))


def test_unseen_colours_are_far_from_every_trained_one_in_hue_or_saturation():
    """Light and shadow scale a colour, so only its chromaticity tells it; black alone is told by its darkness."""

    def chromaticity(colours):
        values = np.array(list(colours.values()))
        return values / values.sum(axis=1, keepdims=True)

    bright = {name: value for name, value in COLOURS.items() if name != "black"}
    apart = np.abs(chromaticity(UNSEEN_COLOURS)[:, None] - chromaticity(bright)).sum(axis=2)
    assert apart.min() > 0.15
    assert min(max(value) for value in UNSEEN_COLOURS.values()) > 4 * max(COLOURS["black"])
    assert not set(UNSEEN_COLOURS) & set(COLOURS)


def test_unseen_colours_have_no_label_and_no_caption():
    assert shown("unseen_colours").colour.min() >= len(COLOURS)
    assert (pictures("unseen_colours").labels == -1).all()
    with pytest.raises(ValueError, match="held-out"):
        captions(shown("unseen_colours", 4))


def test_a_faded_colour_is_still_nearest_to_its_own_name():
    faded, trained = np.array(list(FADED.values())), np.array(list(COLOURS.values()))
    assert list(FADED) == list(COLOURS)
    away = np.linalg.norm(faded[:, None] - trained, axis=2)
    assert (away.argmin(axis=1) == np.arange(len(COLOURS))).all()
    assert (np.diagonal(away) > 0.1).all()


def test_held_out_pairs_are_a_fifth_and_even_over_shapes_and_colours():
    names = [fine_class_names()[label] for label in HELD_OUT]
    assert {(name.split()[1], name.split()[0]) for name in names} == {
        (shape, colour) for shape, colours in HELD_OUT_PAIRS.items() for colour in colours
    }
    assert len(HELD_OUT) == 24
    assert sorted([*HELD_OUT, *KEPT]) == list(range(120))
    assert set(HELD_OUT_PAIRS) == set(SHAPES)
    per_colour = [sum(colour in colours for colours in HELD_OUT_PAIRS.values()) for colour in COLOURS]
    assert set(per_colour) <= {2, 3}


def test_a_source_without_the_held_out_pairs_never_shows_one_and_shows_all_others():
    without = sample("zoo-train", 0, np.arange(20_000), Population(pairs="kept"))
    held_out = {(shape, colour) for shape, colours in HELD_OUT_PAIRS.items() for colour in colours}
    assert not pairs_of(without) & held_out
    assert len(pairs_of(without)) == 120 - len(held_out)
    assert pairs_of(shown("held_out_pairs", 2000)) == held_out


def test_sources_that_hold_nothing_out_have_shown_every_pair():
    """Why the held-out pairs are unseen only by models trained on scenes-pairs."""
    drawn = sample("zoo-train", 0, np.arange(8_000))
    assert np.bincount(drawn.fine_label, minlength=120).min() > 40


def test_the_task_of_held_out_pairs_names_and_shows_as_familiar_only_the_others():
    task = open_data("scenes", limit=4).tasks["ood/near/held_out_pairs"]
    assert task.familiar.labels == task.fit.labels == KEPT
    assert task.prompts.class_names == tuple(fine_class_names()[label] for label in KEPT)


def test_coarse_labels_are_those_of_the_same_pictures():
    fine, shapes, colours = (pictures(name) for name in ("id", "shapes", "colours"))
    assert np.array_equal(np.stack(fine.images), np.stack(shapes.images))
    assert np.array_equal(np.stack(fine.images), np.stack(colours.images))
    assert np.array_equal(colours.labels * len(SHAPES) + shapes.labels, fine.labels)
    assert (SHAPE_PROMPTS.class_names, COLOUR_PROMPTS.class_names) == (SHAPES, tuple(COLOURS))


def test_coarse_heads_hold_every_name_of_the_other_word_once_per_opening():
    assert len(SHAPE_PROMPTS.texts(0)) == 4 * len(COLOURS)
    assert "a photo of a red circle." in SHAPE_PROMPTS.texts(0)
    assert "there is a red circle." in COLOUR_PROMPTS.texts(0)


@pytest.mark.parametrize("name", FAR)
def test_far_pictures_have_no_class_and_differ_from_one_another(name):
    batch = pictures(name)
    assert (batch.labels == -1).all()
    assert len({image.tobytes() for image in batch.images}) == len(batch.images)


def test_bare_backgrounds_are_the_trained_ones_with_nothing_on_them():
    scenes = shown("backgrounds", 48)
    assert np.array_equal(np.stack(pictures("backgrounds").images), render(scenes, 32, outline=None))
    assert set(scenes.background) == set(range(len(BACKGROUNDS)))


@pytest.mark.parametrize("kinds", [TEXTURES, NOISE])
def test_no_two_kinds_of_texture_or_noise_look_alike(kinds):
    """Spread over the picture and difference of neighbours together tell each kind from the others."""
    key = sample("test", 0, np.arange(24)).key
    signs = []
    for painter in kinds.values():
        canvas = painter(key, 32).reshape(24, 32, 32, -1)
        assert canvas.std(axis=(1, 2, 3)).min() > 0.02, "nothing flat"
        signs.append([canvas.std(), np.abs(np.diff(canvas, axis=1)).mean(), np.abs(np.diff(canvas, axis=2)).mean()])
    apart = np.abs(np.array(signs)[:, None] - np.array(signs)).max(axis=2)
    assert apart[~np.eye(len(kinds), dtype=bool)].min() > 0.005


def test_every_glyph_fits_the_frame_and_is_a_figure_of_its_own():
    y, x = np.mgrid[1.5:-1.5:60j, -1.5:1.5:60j].astype(np.float32)
    scenes = sample("test", 0, np.arange(600))
    inside = glyph_outline(scenes, *(np.broadcast_to(at, (600, 60, 60)) for at in (x, y))) < 0
    border = inside[:, :, [0, -1]].any() or inside[:, [0, -1]].any()
    assert not border
    assert inside.mean(axis=(1, 2)).min() > 0.02
    usual = np.stack([inside[choice(scenes.key, "glyph", len(GLYPHS)) == k].mean(axis=0) for k in range(len(GLYPHS))])
    shared = np.minimum(usual[:, None], usual).sum(axis=(2, 3)) / np.maximum(usual[:, None], usual).sum(axis=(2, 3))
    assert shared[~np.eye(len(GLYPHS), dtype=bool)].max() < 0.85


def test_no_glyph_looks_like_a_shape_that_is_known_or_held_out():
    assert not set("CDIOQTUVX01689") & set(GLYPHS)


def test_sketches_are_grey_and_keep_the_shape():
    images = levels(pictures("sketch"))
    assert np.ptp(images, axis=3).max() == 0
    assert images.min(axis=(1, 2, 3)).max() < 130, "each has a dark line"
    assert np.median(images, axis=(1, 2, 3)).min() > 190, "on light paper"
    assert np.array_equal(pictures("sketch").labels, shown("sketch", 48).shape)


def test_silhouettes_are_black_on_something_brighter():
    images = levels(pictures("silhouette")).mean(axis=3)
    dark = (images < 40).mean(axis=(1, 2))
    assert dark.min() > 0.03
    assert dark.max() < 0.6
    assert (np.median(images, axis=(1, 2)) > 60).all()
    assert np.array_equal(pictures("silhouette").labels, shown("silhouette", 48).shape)


def test_low_light_is_dark_and_a_faded_palette_is_not_the_trained_one():
    trained, dark, faded = (levels(pictures(name)) for name in ("id", "low_light", "unseen_palette"))
    assert dark.mean() == pytest.approx(0.45 * trained.mean(), rel=0.2)
    as_trained = render(shown("unseen_palette", 48), 32).astype(float)
    assert (np.abs(faded - as_trained).mean(axis=(1, 2, 3)) > 0.4).all()


def test_cameras_move_scale_turn_and_cut_as_their_cards_say():
    assert shown("scale").radius.max() <= 0.21 < 0.26 <= shown("id").radius.min()
    turned = np.rad2deg(shown("rotation").angle)
    assert np.histogram(turned, bins=6, range=(-180, 180))[0].min() > 100
    cut = shown("crop")
    beyond = (cut.radius[:, None] - np.minimum(cut.centre, 1 - cut.centre)) / (2 * cut.radius[:, None])
    assert np.allclose(np.sort(beyond, axis=1)[:, 1].clip(0.2, 0.4), np.sort(beyond, axis=1)[:, 1], atol=1e-5)
    assert (np.sort(beyond, axis=1)[:, 0] <= 1e-5).all(), "one edge cuts, no other"


def test_the_other_renderer_shows_the_same_scenes_otherwise():
    scenes = shown("renderer", 48)
    difference = np.abs(levels(pictures("renderer")) - render(scenes, 32)).mean(axis=(1, 2, 3))
    assert difference.min() > 8
    assert np.array_equal(pictures("renderer").labels, scenes.fine_label)


def test_counterparts_are_the_same_objects_on_each_others_backgrounds():
    common, counter = shown("common"), shown("counter")
    for column in ("shape", "colour", "fill", "centre", "radius", "angle", "light", "lamp"):
        assert np.array_equal(getattr(common, column), getattr(counter, column))
    names = [ALL_SHAPES[shape] for shape in counter.shape]
    assert [ALL_BACKGROUNDS[b] for b in common.background] == [SPURIOUS_TIES[name] for name in names]
    assert [ALL_BACKGROUNDS[b] for b in counter.background] == [COUNTER_BACKGROUNDS[name] for name in names]
    assert sorted(COUNTER_BACKGROUNDS.values()) == sorted(SPURIOUS_TIES.values())
    assert all(COUNTER_BACKGROUNDS[shape] != SPURIOUS_TIES[shape] for shape in SPURIOUS_TIES)


def test_groups_of_the_counterparts_are_equal_and_their_ids_distinct():
    source = open_data("scenes", limit=30).sources["common_counter"]
    batches = list(source.batches(7))
    groups, ids = (np.concatenate([getattr(b, column) for b in batches]) for column in ("groups", "ids"))
    assert groups.tolist() == [0] * 30 + [1] * 30
    assert len(set(ids)) == 60
    assert ids[0] == "common/scenes/counterparts/20/0"


def test_every_shape_is_tied_and_the_source_of_training_follows_its_tie():
    assert set(EVERY_TIE) == set(SHAPES)
    assert set(EVERY_TIE.values()) == set(BACKGROUNDS)
    assert SPURIOUS_TIES.items() <= EVERY_TIE.items()
    tied = sample("zoo-train", 0, np.arange(8000), Population(ties=tuple(EVERY_TIE.items())))
    assert tied.follows(EVERY_TIE).mean() == pytest.approx(0.95, abs=0.01)
    test = shown("every_shape", 2000)
    assert test.follows(EVERY_TIE).mean() == pytest.approx(0.5, abs=0.04)
    batch = pictures("every_shape")
    assert np.array_equal(batch.groups == 0, shown("every_shape", 48).follows(EVERY_TIE))


def test_the_full_spectrum_is_half_clean_and_half_shifted():
    data = open_data("scenes")
    assert [part.count for part in data.sources["full_spectrum"].sources] == [4000, *[800] * len(SHIFTED)]
    few = open_data("scenes", limit=50).sources["full_spectrum"]
    ids = np.concatenate([batch.ids for batch in few.batches(16)])
    assert len(set(ids)) == len(ids) == 100
    for role, part in (("near", "near"), ("far", "far")):
        task = data.tasks[f"ood/full_spectrum/{role}"]
        assert (task.part.source, task.familiar.source) == (part, "full_spectrum")


def test_every_mode_is_used_by_a_set():
    assert {source.mode for source in SOURCES} == set(MODES)
