"""Released corruption sets, in the layout of CIFAR-10-C."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.corruptions.released import ReleasedArrays, released_sources
from reliability.errors import DataError, UsageError

COUNT = 12


def write(folder, names=("fog", "gaussian_noise"), count=COUNT, classes=4):
    """Picture i of severity s has level 40 * s + i everywhere."""
    folder.mkdir(exist_ok=True)
    levels = np.concatenate([40 * severity + np.arange(count) for severity in range(1, 6)])
    images = np.broadcast_to(levels[:, None, None, None], (5 * count, 8, 8, 3)).astype(np.uint8)
    for offset, name in enumerate(names):
        np.save(folder / f"{name}.npy", images + np.uint8(offset))
    np.save(folder / "labels.npy", np.tile(np.arange(count) % classes, 5).astype(np.uint8))
    return folder


def test_every_corruption_and_severity_there_is_a_source(tmp_path):
    sources = released_sources(write(tmp_path))
    assert list(sources) == [f"released/{name}/{s}" for name in ("gaussian_noise", "fog") for s in range(1, 6)]
    assert all(name == source.name for name, source in sources.items())


@pytest.mark.parametrize("severity", range(1, 6))
def test_a_severity_is_its_block_with_labels_in_order(tmp_path, severity):
    source = released_sources(write(tmp_path))[f"released/fog/{severity}"]
    batches = list(source.batches(5))
    assert [len(batch.ids) for batch in batches] == [5, 5, 2]
    levels = [int(image.min()) for batch in batches for image in batch.images]
    assert levels == [40 * severity + i for i in range(COUNT)]
    assert np.array_equal(np.concatenate([batch.labels for batch in batches]), np.arange(COUNT) % 4)


def test_the_same_picture_has_the_same_id_at_every_severity(tmp_path):
    write(tmp_path)
    indices = [ReleasedArrays(tmp_path, "fog", severity).index for severity in (1, 5)]
    assert np.array_equal(indices[0].ids, indices[1].ids)
    assert len(set(indices[0].ids)) == COUNT


def test_identity_is_by_content_and_severity(tmp_path):
    first, again = (ReleasedArrays(write(tmp_path / name), "fog", 2).identity for name in ("a", "b"))
    assert first == again
    assert first != ReleasedArrays(tmp_path / "a", "fog", 3).identity
    assert first != ReleasedArrays(tmp_path / "a", "gaussian_noise", 2).identity


def test_pictures_can_be_changed_without_touching_the_file(tmp_path):
    collection = ReleasedArrays(write(tmp_path), "fog", 1)
    image = next(collection.read(np.array([0])))
    image += 100
    assert next(collection.read(np.array([0]))).max() == 40


def test_a_limited_source_shows_fewer_pictures(tmp_path):
    (batch,) = released_sources(write(tmp_path))["released/fog/1"].first(3).batches(10)
    assert len(batch.images) == 3


def test_an_unknown_corruption_or_severity_is_refused(tmp_path):
    with pytest.raises(UsageError, match="did you mean fog"):
        ReleasedArrays(tmp_path, "fgo", 1)
    with pytest.raises(UsageError, match="severity"):
        ReleasedArrays(tmp_path, "fog", 6)


def test_a_folder_without_a_corruption_is_an_error_that_lists_what_is_there(tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros(5, int))
    with pytest.raises(DataError, match=r"labels\.npy"):
        released_sources(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=r"snow\.npy"):
        _ = ReleasedArrays(tmp_path, "snow", 1).index
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels\.npy"):
        _ = ReleasedArrays(tmp_path, "fog", 1).index


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((10, 8, 8), np.uint8),
        np.zeros((10, 8, 8, 3), np.float32),
        np.zeros((11, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_arrays_of_another_layout_are_errors(tmp_path, images):
    np.save(write(tmp_path) / "fog.npy", images)
    with pytest.raises(DataError, match=r"uint8 \[5 \* N, H, W, 3\]"):
        _ = ReleasedArrays(tmp_path, "fog", 1).index


@pytest.mark.parametrize("labels", [np.zeros(59, int), np.zeros(60), np.zeros((60, 1), int)])
def test_labels_that_do_not_fit_the_pictures_are_errors(tmp_path, labels):
    np.save(write(tmp_path) / "labels.npy", labels)
    with pytest.raises(DataError, match="one for each picture"):
        _ = ReleasedArrays(tmp_path, "fog", 1).index


def test_a_label_outside_the_classes_is_an_error(tmp_path):
    with pytest.raises(DataError, match="below 3"):
        _ = ReleasedArrays(write(tmp_path), "fog", 1, classes=3).index


@pytest.mark.parametrize("content", [b"", b"not numpy at all", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    (write(tmp_path) / "fog.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"fog\.npy"):
        _ = ReleasedArrays(tmp_path, "fog", 1).index
