"""Webdatasets without CLIP_benchmark's numbering."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError

NAMES = ("cat", "dog", "owl", "bee", "ant", "elk")


@pytest.fixture
def root(tmp_path, layouts):
    """Two shards of twenty samples; labels in words, numbers and JSON by turns."""
    for shard, start in (("pictures-000000.tar", 0), ("pictures-000001.tar", 20)):
        layouts.tar(tmp_path / shard, members(layouts, start, 20))
    (tmp_path / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


def members(layouts, start, count):
    found = {}
    for i in range(start, start + count):
        label = i % 6
        written = (("cls", str(label)), ("txt", NAMES[label]), ("json", json.dumps({"label": label, "caption": "x"})))
        suffix, text = written[i % 3]
        found[f"part/{i:04d}.png"] = layouts.encode(layouts.picture(i, 8))
        found[f"part/{i:04d}.{suffix}"] = text.encode()
        found[f"part/{i:04d}.seg.png"] = b"another member of the sample"
    return found


def read(source):
    batches = list(source.batches(16))
    return (
        np.concatenate([batch.ids for batch in batches]).tolist(),
        np.concatenate([batch.labels for batch in batches]).tolist(),
        [image for batch in batches for image in batch.images],
    )


def test_all_tar_files_are_read_by_name_with_labels_of_any_kind(root, layouts):
    source = open_data(f"webdataset:{root}").sources["test"]
    ids, labels, images = read(source)
    assert len(ids) == 30
    for name, label, image in zip(ids, labels, images, strict=True):
        number = int(name.rpartition("/")[2])
        assert label == number % 6
        assert np.array_equal(image, layouts.picture(number, 8))
    assert ids[0].startswith("pictures-000000/part/")


def test_one_tar_file_may_be_named(root):
    data = open_data("webdataset:pictures-000001.tar", root=root)
    assert len(data.sources["test"].collection.index.ids) == 20


def test_a_split_and_its_train_shards_are_found(root, layouts):
    for name in ("pictures-000000.tar", "pictures-000001.tar"):
        (root / "val").mkdir(exist_ok=True)
        (root / name).rename(root / "val" / name)
    layouts.tar(root / "train" / "a.tar", members(layouts, 100, 20))
    data = open_data(f"webdataset:{root}")
    assert len(read(data.sources["test"])[0]) == 40
    taken = {image.tobytes() for image in data.range_setting(20, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(100, 120)}


def test_templates_may_be_missing(root):
    assert open_data(f"webdataset:{root}").tasks["id"].prompts.templates == ("a photo of a {c}.",)


def test_the_first_kind_of_label_counts_and_captions_do_not_disturb(root, layouts):
    content = {}
    for i in range(8):
        content |= {f"{i}.png": layouts.encode(layouts.picture(i, 8)), f"{i}.cls": b"2", f"{i}.txt": b"1"}
    layouts.tar(root / "pictures-000000.tar", content)
    (root / "pictures-000001.tar").unlink()
    assert set(read(open_data(f"webdataset:{root}").sources["test"])[1]) == {2}


def test_names_are_part_of_the_identity_because_labels_may_be_words(root):
    before = open_data(f"webdataset:{root}").sources["test"].identity
    (root / "classnames.txt").write_text("\n".join(reversed(NAMES)) + "\n")
    assert open_data(f"webdataset:{root}").sources["test"].identity != before


DEFECTS = {
    "no label": ({"a.png": b"x"}, r"no \.cls or \.json or \.txt label[\s\S]*:a"),
    "label without picture": ({"a.cls": b"0"}, "no picture for this"),
    "a caption is no label": ({"a.png": b"x", "a.txt": b"a photo of a cat"}, r"outside the classes[\s\S]*a\.txt"),
    "json without label": ({"a.png": b"x", "a.json": b"{}"}, "outside the classes"),
    "json damaged": ({"a.png": b"x", "a.json": b"{"}, "outside the classes"),
    "json of another kind": ({"a.png": b"x", "a.json": b'{"label": [1]}'}, "outside the classes"),
    "json true": ({"a.png": b"x", "a.json": b'{"label": true}'}, "outside the classes"),
    "json nested": ({"a.png": b"x", "a.json": b"[" * 100_000}, "outside the classes"),
    "label too large": ({"a.png": b"x", "a.cls": b"6"}, "0..5"),
    "a path out of the archive": ({"../../a.png": b"x", "../../a.cls": b"0"}, "leads out of the archive"),
    "an absolute path": ({"/a.png": b"x", "/a.cls": b"0"}, "leads out of the archive"),
    "unreadable picture": ({"a.png": b"junk", "a.cls": b"0"}, r"unreadable image[\s\S]*:a"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_an_error_that_names_the_member(root, layouts, defect):
    content, match = DEFECTS[defect]
    layouts.tar(root / "pictures-000000.tar", content)
    (root / "pictures-000001.tar").unlink()
    with pytest.raises(DataError, match=match):
        read(open_data(f"webdataset:{root}").sources["test"])


def test_two_samples_of_one_name_in_two_folders_are_two_samples(root, layouts):
    picture = layouts.encode(layouts.picture(0, 8))
    content = {f"{folder}/a.{suffix}": value for folder in "pq" for suffix, value in (("png", picture), ("cls", b"0"))}
    layouts.tar(root / "pictures-000000.tar", content)
    (root / "pictures-000001.tar").unlink()
    ids = open_data(f"webdataset:{root}").sources["test"].collection.index.ids
    assert ids.tolist() == ["pictures-000000/p/a", "pictures-000000/q/a"]


def test_numbered_shards_without_their_count_are_an_error_not_a_part_of_a_set(root):
    (root / "pictures-000000.tar").rename(root / "0.tar")
    with pytest.raises(DataError, match=r"nshards\.txt"):
        open_data(f"webdataset:{root}")
