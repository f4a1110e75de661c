from __future__ import annotations

import numpy as np
import pytest

from reliability.data.parquet import ParquetImages, read_parquet_images
from reliability.errors import DataError

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path, layouts):
    for number, start in enumerate((0, 20)):
        contents = [layouts.encode(layouts.picture(i)) for i in range(start, start + 20)]
        layouts.parquet(tmp_path / f"train-{number}.parquet", contents, [i % 6 for i in range(start, start + 20)])
    return tmp_path


def test_rows_are_read_in_file_and_row_order(folder, layouts):
    images, labels = read_parquet_images(folder)
    assert labels.tolist() == [i % 6 for i in range(40)]
    assert all(np.array_equal(image, layouts.picture(i)) for i, image in enumerate(images))


def test_chosen_rows_are_the_same_pictures_wherever_their_row_group_ends(folder, layouts):
    rows = np.array([0, 6, 7, 13, 19, 20, 39])
    images = list(ParquetImages(folder).read(rows))
    assert all(np.array_equal(image, layouts.picture(row)) for image, row in zip(images, rows, strict=True))


def test_names_say_file_and_row(folder):
    assert ParquetImages(folder).index.ids[[0, 39]].tolist() == ["train-0.parquet#0", "train-1.parquet#19"]


@pytest.mark.parametrize(
    ("contents", "label", "match"),
    [
        (b"junk", 0, r"unreadable image[\s\S]*bad\.parquet#1"),
        (None, 0, r"no image bytes[\s\S]*bad\.parquet#1"),
    ],
)
def test_a_bad_picture_is_an_error_that_names_the_row(tmp_path, layouts, contents, label, match):
    layouts.parquet(tmp_path / "bad.parquet", [layouts.encode(layouts.picture(0)), contents], [0, label])
    with pytest.raises(DataError, match=match):
        list(ParquetImages(tmp_path).read(np.arange(2)))


@pytest.mark.parametrize("label", [6, -1, None])
def test_a_label_outside_the_classes_is_an_error_that_names_the_row(tmp_path, layouts, label):
    layouts.parquet(tmp_path / "bad.parquet", [b"", b""], [0, label])
    with pytest.raises(DataError, match=r"label outside the classes[\s\S]*bad\.parquet#1"):
        _ = ParquetImages(tmp_path, classes=6).index


def test_an_empty_folder_and_a_file_that_is_not_parquet_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"no \*\.parquet file"):
        _ = ParquetImages(tmp_path).index
    (tmp_path / "x.parquet").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"not a readable Parquet file[\s\S]*x\.parquet"):
        _ = ParquetImages(tmp_path).index


def test_a_file_without_the_columns_is_an_error(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"picture": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no column image and label"):
        _ = ParquetImages(tmp_path).index
