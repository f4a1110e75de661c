"""Tiny-ImageNet with 40 classes kept from training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliability.data.benchmarks.tinyimagenet import UNSEEN, seen_and_unseen
from reliability.data.collection import Index
from reliability.data.registry import open_data
from reliability.data.subset import OfClasses
from reliability.errors import DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
WNIDS = sorted([*UNSEEN, *(f"n99{number:06d}" for number in range(160))])[::-1]
NAMES = [f"thing {number}" for number in range(200)]


@pytest.fixture
def root(tmp_path, layouts):
    folder = tmp_path / "tinyimagenet"
    for split, start, count in (("test", 0, 400), ("train", 400, 200)):
        members = {}
        for i in range(start, start + count):
            members |= {f"s{i:07d}.png": layouts.encode(layouts.picture(i, 4)), f"s{i:07d}.cls": str(i % 200).encode()}
        layouts.tar(folder / split / "0.tar", members)
        (folder / split / "nshards.txt").write_text("1")
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (folder / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n")
    return tmp_path


def shown(data, task):
    batches = list(data.sources[data.tasks[task].part.source].batches(64))
    return [np.concatenate([getattr(batch, name) for batch in batches]) for name in ("ids", "labels")]


def test_forty_classes_are_kept_from_training_whatever_their_order():
    assert len(UNSEEN) == len(set(UNSEEN)) == 40
    assert list(UNSEEN) == sorted(UNSEEN)


def test_seen_classes_are_renumbered_with_their_names_and_unseen_ones_have_none(root):
    data = open_data("tinyimagenet", root=root)
    seen = [label for label in range(200) if WNIDS[label] not in UNSEEN]
    assert data.tasks["id"].prompts.class_names == tuple(NAMES[label] for label in seen)
    ids, labels = shown(data, "id")
    rows = [int(name.rpartition("/s")[2]) for name in ids]
    assert len(rows) == 320
    assert [seen[label] for label in labels] == [row % 200 for row in rows]
    ids, labels = shown(data, "ood/near")
    assert set(labels) == {-1}
    assert {WNIDS[int(name.rpartition("/s")[2]) % 200] for name in ids} == set(UNSEEN)


def test_near_pictures_are_told_from_seen_ones_by_the_names_of_seen_ones(root):
    data = open_data("tinyimagenet", root=root)
    near = data.tasks["ood/near"]
    assert near.familiar.source == data.tasks["id"].part.source
    assert near.prompts == data.tasks["id"].prompts


def test_damaged_and_range_setting_pictures_are_of_seen_classes(root):
    data = open_data("tinyimagenet", root=root)
    _, labels = shown(data, "noise/fog/3")
    assert set(labels) == set(range(160))
    pairs = data.range_setting(160, 0)
    assert {caption[len("a photo of a ") : -1] for caption in pairs.captions} == set(
        data.tasks["id"].prompts.class_names
    )


def test_seen_and_unseen_pictures_have_identities_of_their_own(root):
    data = open_data("tinyimagenet", root=root)
    first, second = (data.sources[data.tasks[name].part.source].identity for name in ("id", "ood/near"))
    assert first != second
    assert first == open_data("tinyimagenet", root=root).sources[data.tasks["id"].part.source].identity


@pytest.mark.parametrize("damage", ["\n".join(WNIDS[:-1]), "\n".join([*WNIDS[:-1], WNIDS[0]]), None])
def test_another_list_of_classes_is_an_error(root, damage):
    file = root / "tinyimagenet" / "wnids.txt"
    file.unlink() if damage is None else file.write_text(damage)
    with pytest.raises(DataError, match="WordNet ids") as caught:
        open_data("tinyimagenet", root=root)
    assert caught.value.where == str(file)


def test_too_few_names_are_an_error(root):
    (root / "tinyimagenet" / "classnames.txt").write_text("\n".join(NAMES[:160]) + "\n")
    with pytest.raises(DataError, match="200 class names"):
        open_data("tinyimagenet", root=root)


@pytest.mark.skipif(not (SHARED / "tinyimagenet").is_dir(), reason="no Tiny-ImageNet in ../shared/data")
def test_the_list_is_every_fifth_class_of_the_published_set():
    _, unseen = seen_and_unseen(SHARED / "tinyimagenet" / "test")
    assert unseen == tuple(range(4, 200, 5))


class Labelled:
    """Pictures whose row is their value."""

    identity = {"kind": "numbers"}  # noqa: RUF012 - never changed

    def __init__(self, labels):
        self.index = Index(np.array([f"p{row}" for row in range(len(labels))]), np.array(labels))

    def read(self, rows):
        return (np.full((1, 1, 3), row, np.uint8) for row in rows)


def test_classes_are_numbered_in_the_order_they_are_named():
    some = OfClasses(Labelled([5, 2, 9, 5, 7, 2]), (9, 5, 2))
    assert some.index.labels.tolist() == [1, 2, 0, 1, 2]
    assert some.index.ids.tolist() == ["p0", "p1", "p2", "p3", "p5"]
    assert [int(image[0, 0, 0]) for image in some.read(np.array([0, 2, 4]))] == [0, 2, 5]
    assert OfClasses(some.collection, (5,), known=False).index.labels.tolist() == [-1, -1]


def test_other_classes_or_another_order_are_another_identity():
    whole = Labelled([5, 2, 9, 5])
    made = [OfClasses(whole, *wanted).identity for wanted in (((9, 5),), ((5, 9),), ((5,),), ((9, 5), False))]
    assert all(made.count(one) == 1 for one in made)
