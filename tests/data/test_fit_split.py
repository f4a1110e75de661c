"""Pictures that scores are fitted on: of the train split, in the classes of the familiar pictures."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data import assemble
from reliability.data.registry import open_data
from reliability.types import Part


@pytest.fixture
def root(webdataset_root, layouts):
    """Six classes with a train split of 42 pictures."""
    layouts.shards(webdataset_root / "train", (42,), start=900)
    return webdataset_root


def read(data, part):
    batches = list(data.sources[part.source].batches(16))
    ids, labels = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("ids", "labels"))
    return ids.tolist(), labels.tolist()


def test_it_holds_the_train_split_and_the_labels_of_familiar_pictures(root):
    data = open_data(f"webdataset:{root}")
    near = data.task("ood/near")
    assert near.fit == Part("fit", near.familiar.labels)
    ids, labels = read(data, near.fit)
    assert len(ids) == 42
    assert labels == [i % 6 for i in range(900, 942)]
    assert not {name.rpartition("/")[2] for name in ids} & {
        name.rpartition("/")[2] for name in read(data, near.part)[0]
    }


def test_only_tasks_of_unfamiliar_pictures_have_it(root):
    data = open_data(f"webdataset:{root}")
    assert {name for name, task in data.tasks.items() if task.fit is not None} == {"ood/near"}


def test_it_is_drawn_by_name_where_there_are_many_and_grows_with_the_limit(root, monkeypatch):
    monkeypatch.setattr(assemble, "FIT_COUNT", 20)
    many = read(open_data(f"webdataset:{root}"), Part("fit"))[0]
    few = read(open_data(f"webdataset:{root}", limit=8), Part("fit"))[0]
    assert (len(many), len(few)) == (20, 8)
    assert set(few) < set(many)
    assert many != sorted(read(open_data(f"webdataset:{root}"), Part("test"))[0])[:20]


def test_without_a_train_split_there_is_none(webdataset_root):
    data = open_data(f"webdataset:{webdataset_root}")
    assert "fit" not in data.sources
    assert data.task("ood/near").fit is None


def test_the_embedded_ones_are_scenes_of_a_split_of_their_own():
    data = open_data("scenes", limit=30)
    fit = data.task("ood/near").fit
    shown = {name: set(read(data, Part(name))[0]) for name in ("id", "near", "far", fit.source)}
    assert len(shown[fit.source]) == 30
    assert all(not shown[fit.source] & others for name, others in shown.items() if name != fit.source)
    taken = data.range_setting(30, 0)
    images = {image.tobytes() for batch in data.sources[fit.source].batches(16) for image in batch.images}
    assert not images & {image.tobytes() for image in taken.images}
