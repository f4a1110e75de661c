"""Arrays of pictures and labels."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError


def save(folder, stem="cifar10.1_v6", count=40, classes=4):
    folder.mkdir(parents=True, exist_ok=True)
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8)
    np.save(folder / f"{stem}_data.npy", images)
    np.save(folder / f"{stem}_labels.npy", np.arange(count, dtype=np.int64) % classes)
    (folder / "classnames.txt").write_text("cat\ndog\nowl\nbee\n")
    return folder


def shown(source):
    batches = list(source.batches(7))
    return [int(image[0, 0, 0]) for batch in batches for image in batch.images], np.concatenate(
        [batch.labels for batch in batches]
    )


def test_pictures_keep_their_rows_as_names_and_their_labels(tmp_path):
    data = open_data(f"npy:{save(tmp_path)}")
    source = data.sources["test"]
    levels, labels = shown(source)
    assert labels.tolist() == [level % 4 for level in levels]
    assert [int(name) for name in source.collection.index.ids[source.rows]] == levels
    taken = data.range_setting(10, 0)
    assert sorted(levels + [int(image[0, 0, 0]) for image in taken.images]) == list(range(40))


def test_a_pair_is_named_where_there_are_several(tmp_path):
    save(tmp_path, "cifar10.1_v4", count=8)
    save(tmp_path, "cifar10.1_v6", count=16)
    with pytest.raises(DataError, match=r"cifar10\.1_v4, cifar10\.1_v6"):
        open_data(f"npy:{tmp_path}")
    assert len(open_data(f"npy:{tmp_path}/cifar10.1_v4").sources["test"].collection.index.ids) == 8


def test_plain_names_of_the_two_files_do_too(tmp_path):
    save(tmp_path)
    for name in ("data", "labels"):
        (tmp_path / f"cifar10.1_v6_{name}.npy").rename(tmp_path / f"{name}.npy")
    assert len(open_data(f"npy:{tmp_path}").sources["test"].collection.index.ids) == 40


def test_released_corruptions_are_noise_tasks_and_all_set_the_same_pictures_aside(tmp_path):
    images = np.arange(5 * 16, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8)
    for name in ("fog", "snow"):
        np.save(tmp_path / f"{name}.npy", images)
    np.save(tmp_path / "labels.npy", np.tile(np.arange(16) % 4, 5))
    (tmp_path / "classnames.txt").write_text("cat\ndog\nowl\nbee\n")
    data = open_data(f"npy:{tmp_path}")
    assert set(data.tasks) == {f"noise/{name}/{s}" for name in ("fog", "snow") for s in range(1, 6)}
    parts = [data.sources[data.tasks[name].part.source] for name in ("noise/snow/1", "noise/fog/5")]
    ids = [np.concatenate([batch.ids for batch in part.batches(5)]).tolist() for part in parts]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 12
    assert {int(image[0, 0, 0]) for image in data.range_setting(4, 0).images}.isdisjoint(shown(parts[0])[0])


def test_identity_is_the_content_of_both_files(tmp_path):
    first, again = (open_data(f"npy:{save(tmp_path / n)}").sources["test"].identity for n in "ab")
    assert first == again
    np.save(tmp_path / "b" / "cifar10.1_v6_labels.npy", np.zeros(40, np.int64))
    assert open_data(f"npy:{tmp_path / 'b'}").sources["test"].identity != first


def huge(file):
    """A file whose header declares far more than it holds."""
    np.save(file, np.zeros((1, 8, 8, 3), np.uint8))
    content = file.read_bytes().replace(b"(1, 8, 8, 3), }" + b" " * 12, b"(9" + b"9" * 12 + b", 8, 8, 3), }")
    file.write_bytes(content)


DEFECTS = {
    "pictures of floats": (lambda f: np.save(f / "x_data.npy", np.zeros((4, 8, 8, 3))), "expected uint8"),
    "grey pictures": (lambda f: np.save(f / "x_data.npy", np.zeros((4, 8, 8), np.uint8)), "expected uint8"),
    "no picture": (lambda f: np.save(f / "x_data.npy", np.zeros((0, 8, 8, 3), np.uint8)), "expected uint8"),
    "other number of labels": (lambda f: np.save(f / "x_labels.npy", np.zeros(3, int)), "one for each picture"),
    "labels of floats": (lambda f: np.save(f / "x_labels.npy", np.zeros(40)), "one for each picture"),
    "label outside": (lambda f: np.save(f / "x_labels.npy", np.full(40, 4)), r"x_labels\.npy\[0\][\s\S]*got:   4"),
    "label negative": (lambda f: np.save(f / "x_labels.npy", np.full(40, -1)), "outside the classes"),
    "not an array": (lambda f: (f / "x_data.npy").write_bytes(b"junk"), "not a readable NumPy file"),
    "pickled": (lambda f: np.save(f / "x_labels.npy", np.array([{}] * 40, object)), "not a readable NumPy file"),
    "absurd size": (lambda f: huge(f / "x_data.npy"), r"x_data\.npy"),
    "no class names": (lambda f: (f / "classnames.txt").unlink(), r"no classnames\.txt"),
    "no pair": (lambda f: (f / "x_labels.npy").unlink(), "no pair"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_folder_is_an_error(tmp_path, defect):
    damage, match = DEFECTS[defect]
    damage(save(tmp_path / "set", "x"))
    with pytest.raises(DataError, match=match):
        shown(open_data(f"npy:{tmp_path / 'set'}").sources["test"])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing"):
        open_data(f"npy:{tmp_path / 'nothing'}")
