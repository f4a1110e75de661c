"""Tables of paths, labels and groups."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError

BIRDS = "img_id,img_filename,y,split,place,place_filename\n"


@pytest.fixture
def birds(tmp_path, layouts):
    """Waterbirds' own columns: 24 pictures, of which every third is for testing."""
    paths = [f"{i % 4:03d}.Bird/bird_{i}.png" for i in range(24)]
    layouts.pictures(tmp_path, paths)
    rows = [f"{i + 1},{path},{i % 2},{(2, 0, 1)[i % 3]},{(i // 2) % 2},/x/{i}.jpg" for i, path in enumerate(paths)]
    (tmp_path / "metadata.csv").write_text(BIRDS + "\n".join(rows) + "\n")
    return tmp_path / "metadata.csv"


def read(source, size=5):
    batches = list(source.batches(size))
    return {
        name: np.concatenate([getattr(batch, name) for batch in batches]).tolist()
        for name in ("ids", "labels", "groups")
    } | {"images": [image for batch in batches for image in batch.images]}


def test_waterbirds_as_published_has_its_classes_and_four_groups(birds, layouts):
    data = open_data(f"csv:{birds}")
    shown = read(data.sources["test"])
    rows = [i for i in range(24) if i % 3 == 0]
    assert shown["labels"] == [i % 2 for i in rows]
    assert shown["groups"] == [2 * (i % 2) + (i // 2) % 2 for i in rows]
    assert all(np.array_equal(image, layouts.picture(i, 8)) for i, image in zip(rows, shown["images"], strict=True))
    task = data.tasks["spurious/groups"]
    assert task.prompts.class_names == ("landbird", "waterbird")
    assert task.group_names == ("landbird on land", "landbird on water", "waterbird on land", "waterbird on water")


def test_the_train_split_sets_ranges_and_the_val_split_is_not_shown(birds, layouts):
    taken = {image.tobytes() for image in open_data(f"csv:{birds}").range_setting(8, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(24) if i % 3 == 1}


def test_without_a_test_split_val_is_evaluated(birds):
    birds.write_text(birds.read_text().replace(",2,0,", ",0,0,").replace(",2,1,", ",0,1,"))
    assert len(read(open_data(f"csv:{birds}").sources["test"])["ids"]) == 8


@pytest.fixture
def table(tmp_path, layouts):
    def write(text, count=12):
        layouts.pictures(tmp_path, [f"p{i}.png" for i in range(count)])
        (tmp_path / "table.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        return f"csv:{tmp_path / 'table.csv'}"

    return write


def test_words_become_classes_and_groups_sorted(table):
    rows = "".join(f"p{i}.png,{('owl', 'bee')[i % 2]},{('sky', 'den')[i % 3 == 0]}\n" for i in range(12))
    data = open_data(table("path,label,group\n" + rows))
    assert data.tasks["id"].prompts.class_names == ("bee", "owl")
    assert data.tasks["spurious/groups"].group_names == ("den", "sky")
    shown = read(data.sources["test"])
    assert all(label == 1 - int(name[1:-4]) % 2 for name, label in zip(shown["ids"], shown["labels"], strict=True))


def test_group_numbers_stay_as_they_are(table, tmp_path):
    (tmp_path / "classnames.txt").write_text("bee\nowl\n")
    data = open_data(table("label,path,group\n" + "".join(f"{i % 2},p{i}.png,{2 * (i % 2)}\n" for i in range(12))))
    shown = read(data.sources["test"])
    assert set(shown["groups"]) == {0, 2}
    assert data.tasks["spurious/groups"].group_names == ("0", "1", "2")


def test_without_groups_there_is_no_spurious_task(table):
    data = open_data(table("path,label\n" + "".join(f"p{i}.png,{'ab'[i % 2]}\n" for i in range(12))))
    assert "spurious/groups" not in data.tasks
    assert set(read(data.sources["test"])["groups"]) == {-1}


def test_quoted_values_and_a_byte_order_mark_are_read(table):
    text = '\ufeffpath,label\n"p0.png","a, b"\np1.png,c\np2.png,c\np3.png,c\n'
    assert open_data(table(text)).tasks["id"].prompts.class_names == ("a, b", "c")


DEFECTS = {
    "no path column": ("file,label\nx,0\n", "no column path"),
    "no label column": ("path,kind\np0.png,0\n", "no column label"),
    "no row": ("path,label\n", "no row"),
    "empty": ("", "cannot be read"),
    "not text": (b"path,label\n\xff\xfe,0\n", "cannot be read"),
    "nul": (b"path,label\np0.png,a\np1\0.png,a\n", r"cannot be read|p1"),
    "short row": ("path,label\np0.png\n", r"row 1[\s\S]*1 values"),
    "numbers without names": ("path,label\np0.png,0\np1.png,1\n", r"no classnames\.txt"),
    "empty label": ("path,label\np0.png,a\np1.png,\n", r"without a meaning[\s\S]*row 2"),
    "path twice": ("path,label\np0.png,a\np0.png,b\n", r"stands once[\s\S]*row 2"),
    "path out of the folder": ("path,label\np0.png,a\n../p1.png,b\n", r"below the table's folder[\s\S]*row 2"),
    "absolute path": ("path,label\n/etc/hostname,a\n", "below the table's folder"),
    "empty path": ("path,label\n,a\n", "below the table's folder"),
    "no evaluated row": ("path,label,split\np0.png,a,train\n", "no row of a test or val split"),
    "missing picture": ("path,label\nq.png,a\np1.png,b\np2.png,b\np3.png,b\n", r"q\.png"),
}


def read_all(spec):
    """Every picture of a table, those that are set aside too."""
    data = open_data(spec)
    read(data.sources["test"])
    data.range_setting(1, 0)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_table_is_an_error(table, defect):
    text, match = DEFECTS[defect]
    spec = table(text)
    with pytest.raises(DataError, match=match):
        read_all(spec)


def test_a_label_that_no_class_file_names_is_an_error_that_names_the_row(table, tmp_path):
    (tmp_path / "classnames.txt").write_text("bee\nowl\n")
    with pytest.raises(DataError, match=r"without a meaning[\s\S]*row 2[\s\S]*'2'"):
        open_data(table("path,label\np0.png,0\np1.png,2\n"))


def test_a_table_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv"):
        open_data(f"csv:{tmp_path / 'nothing.csv'}")
