"""Parquet folders as data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
NAMES = ["cat", "sea_dog", "owl", "bee", "ant", "elk"]


def write(file, layouts, start, count, image="image", label="label", plain=False, names=NAMES):
    file.parent.mkdir(parents=True, exist_ok=True)
    contents = [layouts.encode(layouts.picture(i, 8)) for i in range(start, start + count)]
    cells = contents if plain else [{"bytes": content, "path": None} for content in contents]
    table = pa.table(
        {image: pa.array(cells), label: pa.array([i % 6 for i in range(start, start + count)], pa.int64())}
    )
    if names is not None:
        features = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, file, row_group_size=7)


def shown(source):
    batches = list(source.batches(8))
    return [image.tobytes() for batch in batches for image in batch.images], np.concatenate([b.labels for b in batches])


@pytest.mark.parametrize("place", ["", "data"])
def test_the_hubs_layout_is_read_with_its_own_class_names(tmp_path, layouts, place):
    write(tmp_path / place / "test-00000-of-00001.parquet", layouts, 0, 20)
    write(tmp_path / place / "train-00000-of-00001.parquet", layouts, 100, 30)
    data = open_data(f"parquet:{tmp_path}")
    assert data.tasks["id"].prompts.class_names == ("cat", "sea dog", "owl", "bee", "ant", "elk")
    pictures, labels = shown(data.sources["test"])
    assert pictures == [layouts.picture(i, 8).tobytes() for i in range(20)]
    assert labels.tolist() == [i % 6 for i in range(20)]
    taken = {image.tobytes() for image in data.range_setting(30, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(100, 130)}


def test_a_validation_split_and_other_column_names_are_found(tmp_path, layouts):
    write(tmp_path / "validation-0.parquet", layouts, 0, 20, image="img", label="fine_label", plain=True)
    write(tmp_path / "train-0.parquet", layouts, 100, 30, image="img", label="fine_label", plain=True)
    assert shown(open_data(f"parquet:{tmp_path}").sources["test"])[0][3] == layouts.picture(3, 8).tobytes()


def test_a_single_split_is_evaluated_and_partly_set_aside(tmp_path, layouts):
    write(tmp_path / "train-0.parquet", layouts, 0, 20)
    data = open_data(f"parquet:{tmp_path}")
    assert len(shown(data.sources["test"])[0]) == 15
    assert any("set aside" in note for note in data.notes)


def test_names_beside_the_files_come_first(tmp_path, layouts):
    write(tmp_path / "test-0.parquet", layouts, 0, 20)
    (tmp_path / "classnames.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert open_data(f"parquet:{tmp_path}").tasks["id"].prompts.class_names == tuple("abcdef")


@pytest.mark.parametrize("names", [None, [], ["cat", "cat"], ["cat", 3], "cat"])
def test_without_usable_class_names_opening_is_an_error(tmp_path, layouts, names):
    write(tmp_path / "test-0.parquet", layouts, 0, 20, names=names)
    with pytest.raises(DataError, match=r"no classnames\.txt"):
        open_data(f"parquet:{tmp_path}")


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no \*\.parquet file"):
        open_data(f"parquet:{tmp_path}")
