"""Captions of the retrieval set are matched with every picture they are true of."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.prompt_file import PromptFile
from reliability.data.prompted import with_prompts
from reliability.data.registry import open_data
from reliability.data.scenes.captions import OPENINGS, captions
from reliability.data.scenes.retrieval import CAPTIONS_PER_PICTURE, _words, _written, caption_head
from reliability.data.scenes.sample import Population, sample
from reliability.data.scenes.vocabulary import (
    ALL_BACKGROUNDS,
    BACKGROUNDS,
    COLOURS,
    FILLS,
    SHAPES,
    UNSEEN_BACKGROUNDS,
    UNSEEN_COLOURS,
    UNSEEN_SHAPES,
)


@pytest.fixture(scope="module")
def scenes():
    return sample("retrieval", 20, np.arange(400))


def is_true(caption, scenes, row):
    """Slow second opinion, from the words: all that a caption names is what the scene shows."""
    words = set(caption.removesuffix(".").split())
    shown = {
        list(COLOURS)[scenes.colour[row]], FILLS[scenes.fill[row]], SHAPES[scenes.shape[row]],
        ALL_BACKGROUNDS[scenes.background[row]],
    }  # fmt: skip
    return words & {*COLOURS, *FILLS, *SHAPES, *BACKGROUNDS} <= shown


def test_matches_are_exactly_the_captions_whose_words_are_true(scenes):
    prompts, matches = caption_head(scenes)
    for row in range(0, len(scenes), 7):
        true = [index for index, text in enumerate(prompts.class_names) if is_true(text, scenes, row)]
        assert list(matches[row]) == true


def test_captions_are_distinct_and_some_are_right_for_several_pictures(scenes):
    prompts, matches = caption_head(scenes)
    assert len(set(prompts.class_names)) == len(prompts.class_names)
    pictures = np.bincount(np.concatenate(matches), minlength=len(prompts.class_names))
    assert pictures.min() >= 1, "no caption is of no picture"
    assert (pictures > 1).mean() > 0.2


def test_every_picture_has_several_captions_of_its_own(scenes):
    _, matches = caption_head(scenes)
    assert min(map(len, matches)) >= CAPTIONS_PER_PICTURE


def test_prompts_are_the_captions_as_they_are(scenes):
    prompts, _ = caption_head(scenes)
    assert prompts.texts(0) == [prompts.class_names[0]]
    assert all(text.startswith(OPENINGS) and text.endswith(".") for text in prompts.class_names)


def test_captions_name_fill_and_background_at_the_rates_of_training():
    scenes = sample("retrieval", 20, np.arange(4000))
    patterned = scenes.fill != FILLS.index("plain")
    for texts in (_written(scenes, list(_words(scenes)), 0), captions(scenes)):
        assert np.mean([" on " in text for text in texts]) == pytest.approx(0.6, abs=0.03)
        named = np.array([bool(set(text.split()) & set(FILLS)) for text in texts])
        assert named[patterned].mean() == pytest.approx(0.5, abs=0.03)
        assert not named[~patterned].any()


@pytest.mark.parametrize(
    "population",
    [
        Population(shapes=UNSEEN_SHAPES),
        Population(backgrounds=UNSEEN_BACKGROUNDS),
        Population(colours=tuple(UNSEEN_COLOURS)),
    ],
)
def test_held_out_scenes_have_no_captions(population):
    with pytest.raises(ValueError, match="held-out"):
        caption_head(sample("test", 0, np.arange(4), population))


def test_the_task_matches_the_pictures_of_its_source_in_order():
    task = open_data("scenes", limit=40).tasks["retrieval/captions"]
    prompts, matches = caption_head(sample("retrieval", 20, np.arange(40)))
    assert (task.prompts, task.matches) == (prompts, matches)
    assert task.part.source == "retrieval"


def test_a_users_own_templates_leave_captions_as_they_are():
    data = open_data("scenes", limit=40)
    own = with_prompts(data, PromptFile("own.toml", templates=("a drawing of a {c}.",)))
    assert own.tasks["retrieval/captions"] == data.tasks["retrieval/captions"]
    assert own.tasks["id"].prompts.texts(0) == ["a drawing of a red circle."]
