from __future__ import annotations

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from reliability.data.collection import held_out_rows
from reliability.data.registry import open_data
from reliability.errors import DataError

SHARD = "set/test/0.tar"


def open_root(root, **options):
    return open_data(f"webdataset:{root}", **options)


def read(source, size=16):
    batches = list(source.batches(size))
    return np.concatenate([b.ids for b in batches]), np.concatenate([b.labels for b in batches]), [
        image for b in batches for image in b.images
    ]  # fmt: skip


def add_train(root, layouts, count=40):
    layouts.shards(root / "train", (count,), start=1000)


def test_pictures_and_labels_are_those_of_the_shards_in_their_order(webdataset_root, layouts):
    add_train(webdataset_root, layouts)
    ids, labels, images = read(open_root(webdataset_root).sources["test"])
    assert ids[[0, 1, 30, 59]].tolist() == ["0/s0000000", "0/s0000001", "1/s0000030", "1/s0000059"]
    assert labels.tolist() == [i % 6 for i in range(60)]
    assert all(np.array_equal(image, layouts.picture(i)) for i, image in enumerate(images))


@pytest.mark.parametrize("location", ["set", "set/test"])
def test_the_root_or_the_test_folder_may_be_named(tmp_path, webdataset_root, location):
    assert webdataset_root.name == "set"
    data = open_data(f"webdataset:{location}", root=tmp_path)
    assert data.tasks["id"].prompts.class_names == ("cat", "dog", "owl", "bee", "ant", "elk")


def test_class_files_may_lie_beside_the_shards(webdataset_root):
    for file in webdataset_root.glob("*.txt"):
        file.rename(webdataset_root / "test" / file.name)
    data = open_root(webdataset_root / "test")
    assert data.tasks["id"].prompts.texts(0) == ["a photo of a cat.", "a picture of the cat."]


def test_opening_reads_no_shard(webdataset_root):
    (webdataset_root / "test" / "0.tar").write_bytes(b"not a tar")
    assert "id" in open_root(webdataset_root).tasks


def test_label_split_leaves_every_fifth_class_out_of_the_prompts(webdataset_root):
    task = open_root(webdataset_root).tasks["ood/near"]
    assert task.part.labels == (4,)
    assert task.familiar.labels == (0, 1, 2, 3, 5)
    assert task.prompts.class_names == ("cat", "dog", "owl", "bee", "elk")
    assert task.part.source == task.familiar.source == "test"


def test_too_few_classes_for_a_label_split_are_noted(webdataset_root):
    (webdataset_root / "classnames.txt").write_text("a\nb\n")
    data = open_root(webdataset_root)
    assert "ood/near" not in data.tasks
    assert any("ood/near" in note for note in data.notes)


def test_without_a_train_split_range_setting_takes_pictures_that_are_not_evaluated(webdataset_root):
    data = open_root(webdataset_root)
    evaluated = {image.tobytes() for image in read(data.sources["test"])[2]}
    taken = data.range_setting(15, 0)
    assert len(evaluated) == 45
    assert len({image.tobytes() for image in taken.images} | evaluated) == 60
    assert any("set aside" in note for note in data.notes)


def test_captions_of_range_setting_pictures_name_their_class(webdataset_root, layouts):
    taken = open_root(webdataset_root).range_setting(15, 0)
    names = {layouts.picture(i).tobytes(): layouts.CLASSES[i % 6] for i in range(60)}
    for image, caption in zip(taken.images, taken.captions, strict=True):
        name = names[image.tobytes()]
        assert caption in (f"a photo of a {name}.", f"a picture of the {name}.")


@pytest.mark.parametrize("layout", ["shards", "parquet"])
def test_a_train_split_serves_range_setting_and_nothing_is_held_out(webdataset_root, layouts, layout):
    if layout == "shards":
        add_train(webdataset_root, layouts)
    else:
        contents = [layouts.encode(layouts.picture(1000 + i)) for i in range(40)]
        layouts.parquet(webdataset_root / "train" / "train-0.parquet", contents, [i % 6 for i in range(40)])
    data = open_root(webdataset_root)
    train = {layouts.picture(1000 + i).tobytes() for i in range(40)}
    one, other = data.range_setting(20, 0), data.range_setting(20, 1)
    assert len(read(data.sources["test"])[0]) == 60
    assert {image.tobytes() for image in one.images} < train
    assert {image.tobytes() for image in one.images} != {image.tobytes() for image in other.images}
    assert one.identity == data.range_setting.identity(20, 0)
    assert data.notes == ()


def test_a_train_folder_that_is_itself_evaluated_is_not_used_for_range_setting(webdataset_root):
    (webdataset_root / "test").rename(webdataset_root / "train")
    data = open_root(webdataset_root / "train")
    assert len(read(data.sources["test"])[0]) == 45


def test_asking_for_more_range_setting_pictures_than_there_are_is_an_error(webdataset_root):
    with pytest.raises(DataError, match="15 that no task evaluates"):
        open_root(webdataset_root).range_setting(16, 0)


def test_a_limit_keeps_a_spread_of_pictures_and_nests(webdataset_root, layouts):
    add_train(webdataset_root, layouts)
    five, twenty = (read(open_root(webdataset_root, limit=n).sources["test"])[0] for n in (5, 20))
    assert (len(five), len(twenty)) == (5, 20)
    assert set(five) < set(twenty)
    assert sorted(twenty) == twenty.tolist()
    assert {name[0] for name in twenty} == {"0", "1"}, "both shards, not the first pictures"


def test_held_out_pictures_depend_on_names_not_on_order():
    ids = np.array([f"p{i}" for i in range(100)])
    order = np.random.default_rng(0).permutation(100)
    assert set(ids[held_out_rows(ids, 20)]) == set(ids[order][held_out_rows(ids[order], 20)])


def test_noise_damages_the_evaluated_pictures_only(webdataset_root):
    data = open_root(webdataset_root)
    clean = dict(zip(*read(data.sources["test"])[::2], strict=True))
    ids, _, noisy = read(data.sources[data.tasks["noise/gaussian_noise/5"].part.source])
    assert set(ids) == set(clean)
    for name, image in zip(ids, noisy, strict=True):
        assert 0 < np.abs(image.astype(int) - clean[name]).mean() < 40


def test_identity_is_the_content_of_the_shards_and_the_limit(webdataset_root, tmp_path):
    identity = open_root(webdataset_root).sources["test"].identity
    sha = hashlib.sha256((tmp_path / SHARD).read_bytes()).hexdigest()
    assert identity["collection"]["shards"][0] == sha
    assert identity != open_root(webdataset_root, limit=5).sources["test"].identity
    moved = webdataset_root.rename(tmp_path / "elsewhere")
    assert open_root(moved).sources["test"].identity == identity
    json.dumps(identity)


def test_changed_content_changes_the_identity(webdataset_root, layouts):
    before = open_root(webdataset_root).sources["test"].identity
    layouts.tar(webdataset_root / "test" / "0.tar", layouts.members(100, 30))
    assert open_root(webdataset_root).sources["test"].identity != before


def test_grey_scale_palette_and_transparent_pictures_become_rgb(webdataset_root, layouts):
    from PIL import Image

    grey = layouts.picture(0)[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(layouts.picture(1)).quantize(8).save(buffer, "PNG")
    members = {
        "a.jpg": layouts.encode(grey, "JPEG"), "a.cls": b"0\n",
        "b.png": buffer.getvalue(), "b.cls": b"1",
        "c.webp": layouts.encode(np.dstack([layouts.picture(2), grey]), "WEBP"), "c.cls": b"2",
        "d.txt": b"other members are ignored",
    }  # fmt: skip
    layouts.tar(webdataset_root / "test" / "0.tar", members)
    (webdataset_root / "test" / "nshards.txt").write_text("1")
    ids, _, images = read(open_root(webdataset_root).sources["test"])
    assert ids.tolist() == ["0/a", "0/b", "0/c"]
    assert {image.shape for image in images} == {(32, 32, 3)}


DEFECTS = {
    "no label": (lambda m: m.pop("s0000003.cls"), r"0\.tar:s0000003"),
    "no picture": (lambda m: m.pop("s0000003.png"), r"0\.tar:s0000003"),
    "label too large": (lambda m: m.update({"s0000003.cls": b"6"}), r"outside the classes[\s\S]*0\.tar:s0000003\.cls"),
    "label negative": (lambda m: m.update({"s0000003.cls": b"-1"}), r"label outside the classes"),
    "label not a number": (lambda m: m.update({"s0000003.cls": b"cat"}), r"got:   'cat'"),
    "label empty": (lambda m: m.update({"s0000003.cls": b""}), r"label outside the classes"),
    "unreadable picture": (lambda m: m.update({"s0000003.png": b"junk"}), r"unreadable image[\s\S]*0\.tar:s0000003"),
    "truncated picture": (
        lambda m: m.update({"s0000003.png": m["s0000003.png"][:500]}), r"unreadable image[\s\S]*0\.tar:s0000003",
    ),
    "two pictures of one key": (lambda m: m.update({"s0000003.jpg": b"x"}), r"stands twice[\s\S]*0\.tar:s0000003"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_in_a_shard_is_an_error_that_names_file_and_member(webdataset_root, layouts, defect):
    damage, match = DEFECTS[defect]
    members = layouts.members(0, 8)
    damage(members)
    add_train(webdataset_root, layouts)
    layouts.tar(webdataset_root / "test" / "0.tar", members)
    with pytest.raises(DataError, match=match):
        read(open_root(webdataset_root).sources["test"])


def test_a_member_that_declares_an_absurd_size_is_refused_unread(webdataset_root):
    info = tarfile.TarInfo("s0000000.jpg")
    info.size = 65 * 1024 * 1024
    (webdataset_root / "test" / "0.tar").write_bytes(info.tobuf() + b"\0" * 1024)
    with pytest.raises(DataError, match=r"68157440 declared"):
        read(open_root(webdataset_root).sources["test"])


def test_a_link_in_place_of_a_picture_is_refused(webdataset_root):
    with tarfile.open(webdataset_root / "test" / "0.tar", "w") as tar:
        info = tarfile.TarInfo("s0000000.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(info)
    with pytest.raises(DataError, match="not a plain file"):
        read(open_root(webdataset_root).sources["test"])


@pytest.mark.parametrize("keep", [0, 700, 5000])
def test_a_damaged_shard_is_an_error_that_names_it(webdataset_root, keep):
    shard = webdataset_root / "test" / "0.tar"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"0\.tar"):
        read(open_root(webdataset_root).sources["test"])


def remove(name):
    return lambda root: (root / name).unlink()


def write(name, text):
    return lambda root: (root / name).write_bytes(text.encode("latin-1"))


TEMPLATES = "zeroshot_classification_templates.txt"
BROKEN_FOLDERS = {
    "missing shard": (remove("test/1.tar"), r"missing shard[\s\S]*1\.tar"),
    "no shard count": (remove("test/nshards.txt"), r"nshards\.txt"),
    "senseless shard count": (write("test/nshards.txt", "two"), "not a positive number"),
    "zero shards": (write("test/nshards.txt", "0"), "not a positive number"),
    "no class file": (remove("classnames.txt"), r"no classnames\.txt"),
    "no template file": (remove(TEMPLATES), f"no {TEMPLATES}"),
    "no class name": (write("classnames.txt", "\n\n"), "no class name"),
    "empty class name": (write("classnames.txt", "cat\n\ndog\n"), r"empty class name[\s\S]*line 2"),
    "duplicate class name": (write("classnames.txt", "cat\ndog\ncat\n"), r"already on line 1[\s\S]*line 3[\s\S]*'cat'"),
    "class names not text": (write("classnames.txt", "caf\xe9\n"), "UTF-8"),
    "no template": (write(TEMPLATES, "\n"), "no prompt template"),
    "template without place": (write(TEMPLATES, "a photo of a cat.\n"), r"without \{c\}"),
}


@pytest.mark.parametrize("defect", BROKEN_FOLDERS)
def test_a_broken_folder_is_an_error_on_opening(webdataset_root, defect):
    damage, match = BROKEN_FOLDERS[defect]
    damage(webdataset_root)
    with pytest.raises(DataError, match=match):
        open_root(webdataset_root)


@pytest.mark.parametrize("make", [False, True], ids=["missing", "empty"])
def test_a_folder_without_data_is_an_error(tmp_path, make):
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    with pytest.raises(DataError, match=r"nothing[\s\S]*next"):
        open_root(folder)


def test_shards_without_a_picture_are_an_error(webdataset_root, layouts):
    for number in range(2):
        layouts.tar(webdataset_root / "test" / f"{number}.tar", {"readme.txt": b"hello"})
    with pytest.raises(DataError, match="no picture"):
        read(open_root(webdataset_root).sources["test"])
