"""Leaving out pictures that do not decode."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data import readable
from reliability.data.registry import open_data
from reliability.errors import DataError


@pytest.fixture
def folder(tmp_path, layouts):
    """Twenty-four pictures of two classes, of which two are damaged, and a train split."""
    layouts.pictures(tmp_path / "val", [f"{name}/{i:02d}.png" for name in ("cat", "dog") for i in range(12)])
    layouts.pictures(tmp_path / "train", [f"{name}/{i:02d}.png" for name in ("cat", "dog") for i in range(12)], 100)
    for damaged in ("cat/03.png", "dog/07.png"):
        (tmp_path / "val" / damaged).write_bytes(b"junk")
    return tmp_path


def ids(source):
    return np.concatenate([batch.ids for batch in source.batches(5)]).tolist()


def test_without_the_option_the_first_is_an_error(folder):
    with pytest.raises(DataError, match=r"unreadable image[\s\S]*cat/03\.png"):
        ids(open_data(f"folder:{folder}").sources["test"])


@pytest.mark.parametrize("allowed", [2, 5])
def test_up_to_as_many_as_allowed_are_left_out_and_noted(folder, allowed):
    data = open_data(f"folder:{folder}", skip_unreadable=allowed)
    shown = ids(data.sources["test"])
    assert len(shown) == 22
    assert {"cat/03.png", "dog/07.png"}.isdisjoint(shown)
    assert ids(data.sources["test/fog/1"]) == shown
    (note,) = (note for note in data.notes if "unreadable" in note)
    assert "cat/03.png, dog/07.png" in note
    assert f"{allowed} allowed" in note


def test_more_than_allowed_is_an_error_that_names_them(folder):
    with pytest.raises(DataError, match=r"2: cat/03\.png, dog/07\.png"):
        open_data(f"folder:{folder}", skip_unreadable=1)


def test_nothing_changes_where_all_pictures_are_readable(folder, layouts):
    layouts.pictures(folder / "val", ["cat/03.png", "dog/07.png"])
    strict, lenient = (open_data(f"folder:{folder}", skip_unreadable=n) for n in (0, 3))
    assert lenient.sources["test"].identity == strict.sources["test"].identity
    assert lenient.notes == strict.notes


def test_pictures_are_looked_at_once_and_again_when_they_change(folder, layouts, monkeypatch):
    looked = []
    look = readable._look
    monkeypatch.setattr(readable, "_look", lambda collection: looked.append(1) or look(collection))
    for _ in range(2):
        open_data(f"folder:{folder}", skip_unreadable=2)
    assert len(looked) == 1
    layouts.pictures(folder / "val", ["cat/03.png"], start=300)
    data = open_data(f"folder:{folder}", skip_unreadable=2)
    assert len(looked) == 2
    assert len(ids(data.sources["test"])) == 23


def test_identity_tells_which_pictures_are_left_out(folder):
    before = open_data(f"folder:{folder}", skip_unreadable=2).sources["test"].identity
    (folder / "val" / "cat" / "04.png").write_bytes(b"junk")
    assert open_data(f"folder:{folder}", skip_unreadable=3).sources["test"].identity != before


def test_limits_and_hold_outs_apply_to_the_readable_pictures(folder):
    data = open_data(f"folder:{folder / 'val'}", limit=6, skip_unreadable=2)
    assert len(ids(data.sources["test"])) == 6
    flat = folder / "val"
    flat.rename(folder / "flat")
    data = open_data(f"folder:{folder / 'flat'}", skip_unreadable=2)
    assert len(ids(data.sources["test"])) == 17
    assert len(data.range_setting(5, 0).images) == 5


def test_unreadable_members_of_shards_and_rows_of_parquet_are_left_out_too(tmp_path, layouts):
    members = layouts.members(0, 12) | {"s0000003.png": b"junk"}
    layouts.names(tmp_path / "shards")
    layouts.tar(tmp_path / "shards" / "test" / "0.tar", members)
    (tmp_path / "shards" / "test" / "nshards.txt").write_text("1")
    data = open_data(f"webdataset:{tmp_path / 'shards'}", skip_unreadable=1)
    assert "0/s0000003" not in data.sources["test"].collection.index.ids
    contents = [layouts.encode(layouts.picture(i)) if i % 5 else b"junk" for i in range(12)]
    layouts.parquet(tmp_path / "files" / "test-0.parquet", contents, [i % 6 for i in range(12)])
    layouts.names(tmp_path / "files")
    data = open_data(f"parquet:{tmp_path / 'files'}", skip_unreadable=3)
    assert len(data.sources["test"].collection.index.ids) == 9


def test_a_cache_folder_that_cannot_be_written_only_costs_time(folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setattr(readable, "memory_folder", lambda: folder / "file" / "below")
    assert len(ids(open_data(f"folder:{folder}", skip_unreadable=2).sources["test"])) == 22
