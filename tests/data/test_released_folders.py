"""Corruption sets as released in folders, opened as tasks by the folder alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError

WNIDS = ("n01443537", "n01629819", "n01641577", "n01644900", "n01698640", "n01742172")
COUNT = 8


@pytest.fixture
def tiny(tmp_path, layouts):
    """Two corruptions in the layout of Tiny-ImageNet-C: every picture under one name at every severity."""
    place = tmp_path / "Tiny-ImageNet-C"
    for start, name in enumerate(("snow", "fog")):
        for severity in range(1, 6):
            names = [f"{wnid}/test_{i}.JPEG" for wnid in WNIDS for i in range(COUNT)]
            layouts.pictures(place / name / str(severity), names, start=1000 * start + 100 * severity)
    return place


def ids(data, name):
    return np.concatenate([batch.ids for batch in data.sources[data.tasks[name].part.source].batches(7)]).tolist()


def test_each_corruption_and_severity_is_a_task_under_imagenets_names(tiny):
    data = open_data(f"folder:{tiny}")
    assert list(data.tasks) == [f"noise/{name}/{s}" for name in ("snow", "fog") for s in range(1, 6)]
    assert data.tasks["noise/fog/5"].prompts.class_names[:2] == ("goldfish", "fire salamander")


def test_the_same_pictures_are_set_aside_at_every_corruption_and_severity(tiny):
    data = open_data(f"folder:{tiny}")
    shown = ids(data, "noise/snow/1")
    assert len(shown) == len(WNIDS) * COUNT * 3 // 4
    assert all(ids(data, task) == shown for task in data.tasks)
    assert any("set aside" in note for note in data.notes)


def test_pixels_are_those_of_the_corruption_and_severity(tiny, layouts):
    data = open_data(f"folder:{tiny}")
    (batch,) = data.sources[data.tasks["noise/fog/3"].part.source].batches(100)
    every = [f"{wnid}/test_{i}.JPEG" for wnid in WNIDS for i in range(COUNT)]
    for image, name in zip(batch.images, batch.ids.tolist(), strict=True):
        assert np.array_equal(image, layouts.picture(1300 + every.index(name), 8))


def test_the_archives_own_folders_may_lie_between(tiny):
    (tiny / "weather").mkdir()
    for name in ("snow", "fog"):
        (tiny / name).rename(tiny / "weather" / name)
    assert len(open_data(f"folder:{tiny}").tasks) == 10


def test_class_names_may_lie_beside(tiny):
    (tiny / "classnames.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert open_data(f"folder:{tiny}").tasks["noise/snow/2"].prompts.class_names == tuple("abcdef")


def test_a_class_that_is_called_like_a_corruption_is_a_class(tmp_path, layouts):
    layouts.pictures(tmp_path, [f"{name}/{i}.png" for name in ("snow", "rain", "fog", "sun", "wind") for i in range(8)])
    data = open_data(f"folder:{tmp_path}")
    assert data.tasks["id"].prompts.class_names == ("fog", "rain", "snow", "sun", "wind")


def test_a_missing_severity_or_class_is_an_error(tiny):
    shutil.rmtree(tiny / "fog" / "2" / WNIDS[3])
    with pytest.raises(DataError, match=rf"not those listed[\s\S]*{WNIDS[3]}"):
        open_data(f"folder:{tiny}")
    shutil.rmtree(tiny / "fog" / "2")
    with pytest.raises(DataError, match=r"severity is missing[\s\S]*2"):
        open_data(f"folder:{tiny}")
