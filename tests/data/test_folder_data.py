"""Class folders of picture files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from reliability.data.published_prompts import imagenet_prompts, imagenet_wnids
from reliability.data.registry import open_data
from reliability.errors import DataError

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenet1k-sample" / "val"
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason="no ImageNet sample in ../shared/data")
NAMES = ("ant", "bee", "cat", "dog", "elk", "owl")


@pytest.fixture
def folder(tmp_path, layouts):
    """Six classes of ten 8 px pictures; picture i shows ``picture(i)``."""
    layouts.pictures(tmp_path / "set" / "val", [f"{name}/{i}.png" for name in NAMES for i in range(10)])
    return tmp_path / "set"


def read(source, size=16):
    batches = list(source.batches(size))
    ids, labels = (np.concatenate([getattr(b, name) for b in batches]) for name in ("ids", "labels"))
    return ids.tolist(), labels.tolist(), [image for b in batches for image in b.images]


def add_train(root, layouts, names=NAMES):
    layouts.pictures(root / "train", [f"{name}/t{i}.png" for name in names for i in range(10)], start=500)


def test_pictures_come_class_by_class_in_the_order_of_their_paths(folder, layouts):
    add_train(folder, layouts)
    ids, labels, images = read(open_data(f"folder:{folder}").sources["test"])
    assert ids[:3] == ["ant/0.png", "ant/1.png", "ant/2.png"]
    assert ids == sorted(ids)
    assert labels == [label for label in range(6) for _ in range(10)]
    assert all(np.array_equal(image, layouts.picture(i, 8)) for i, image in enumerate(images))


def test_labels_are_those_of_torchvisions_image_folder(folder, layouts):
    from reliability.torchvision_shim import ensure_torchvision_imports

    pytest.importorskip("torch")
    ensure_torchvision_imports()
    datasets = pytest.importorskip("torchvision.datasets")
    add_train(folder, layouts)
    theirs = [
        (str(Path(p).relative_to(folder / "val")), label) for p, label in datasets.ImageFolder(folder / "val").imgs
    ]
    ids, labels, _ = read(open_data(f"folder:{folder}").sources["test"])
    assert list(zip(ids, labels, strict=True)) == theirs


@pytest.mark.parametrize("location", ["set", "set/val"])
def test_the_set_or_its_split_may_be_named(folder, layouts, location):
    add_train(folder, layouts)
    data = open_data(f"folder:{location}", root=folder.parent)
    assert len(data.sources["test"].rows) == 60
    taken = {image.tobytes() for image in data.range_setting(12, 0).images}
    assert taken <= {layouts.picture(500 + i, 8).tobytes() for i in range(60)}


def test_class_folders_may_lie_right_there_and_some_pictures_are_set_aside(folder):
    data = open_data(f"folder:{(folder / 'val').rename(folder.parent / 'flat')}")
    shown = {image.tobytes() for image in read(data.sources["test"])[2]}
    taken = {image.tobytes() for image in data.range_setting(15, 0).images}
    assert (len(shown), len(taken), len(shown | taken)) == (45, 15, 60)
    assert any("set aside" in note for note in data.notes)


def test_folder_names_are_class_names_where_nothing_else_is(folder):
    (folder / "val" / "owl").rename(folder / "val" / "snowy_owl")
    data = open_data(f"folder:{folder}")
    assert data.tasks["id"].prompts.class_names == (*NAMES[:5], "snowy owl")
    assert data.tasks["id"].prompts.templates == ("a photo of a {c}.",)
    assert any("class folders" in note for note in data.notes)


def test_classnames_follow_the_sorted_folders_or_wnids_txt(folder):
    (folder / "classnames.txt").write_text("Ant\nBee\nCat\nDog\nElk\nOwl\n")
    assert open_data(f"folder:{folder}").tasks["id"].prompts.class_names[0] == "Ant"
    (folder / "wnids.txt").write_text("owl\nelk\ndog\ncat\nbee\nant\n")
    (folder / "classnames.txt").write_text("Owl\nElk\nDog\nCat\nBee\nAnt\n")
    source = open_data(f"folder:{folder}").sources["test"]
    ids, labels, _ = read(source)
    assert (ids[0].partition("/")[0], labels[0]) == ("owl", 0)


def test_folders_named_by_wordnet_ids_get_imagenets_names_and_templates(tmp_path, layouts):
    wnids = imagenet_wnids()[2:8]
    layouts.pictures(tmp_path, [f"{wnid}/0.png" for wnid in wnids])
    prompts = open_data(f"folder:{tmp_path}").tasks["id"].prompts
    assert prompts.class_names == imagenet_prompts().class_names[2:8]
    assert len(prompts.templates) == 80


def test_hidden_files_and_files_that_are_no_pictures_are_passed_over(folder, layouts):
    before = read(open_data(f"folder:{folder}").sources["test"])[0]
    for name in (".DS_Store", "._0.png", "readme.txt"):
        (folder / "val" / "ant" / name).write_bytes(b"x")
    layouts.pictures(folder / "val", [".cache/x.png"])
    assert read(open_data(f"folder:{folder}").sources["test"])[0] == before


def test_identity_is_by_path_and_content_and_moves_with_the_folder(folder, layouts):
    source = open_data(f"folder:{folder}").sources["test"]
    before = source.identity
    moved = folder.rename(folder.parent / "moved")
    assert open_data(f"folder:{moved}").sources["test"].identity == before
    path = moved / "val" / str(source.collection.index.ids[source.rows[0]])
    path.write_bytes(layouts.encode(layouts.picture(999, 8)))
    assert open_data(f"folder:{moved}").sources["test"].identity != before


def test_only_pictures_that_are_shown_are_part_of_an_identity(folder, layouts):
    add_train(folder, layouts)
    few = open_data(f"folder:{folder}", limit=5).sources["test"]
    before = few.identity
    shown = set(few.collection.index.ids[few.rows])
    other = next(path for path in few.collection.index.ids if path not in shown)
    (folder / "val" / other).write_bytes(layouts.encode(layouts.picture(999, 8)))
    assert open_data(f"folder:{folder}", limit=5).sources["test"].identity == before


def test_a_limit_keeps_a_spread_of_classes(folder, layouts):
    add_train(folder, layouts)
    ids, labels, _ = read(open_data(f"folder:{folder}", limit=20).sources["test"])
    assert len(ids) == 20
    assert len(set(labels)) > 3


def test_unreadable_picture_is_an_error_that_names_the_file(folder, layouts):
    add_train(folder, layouts)
    (folder / "val" / "cat" / "3.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"unreadable image[\s\S]*cat/3\.png"):
        read(open_data(f"folder:{folder}").sources["test"])


def test_a_picture_that_is_gone_is_an_error_that_names_it(folder, layouts):
    add_train(folder, layouts)
    source = open_data(f"folder:{folder}").sources["test"]
    assert len(source.rows)
    (folder / "val" / "cat" / "3.png").unlink()
    with pytest.raises(DataError, match=r"cat/3\.png"):
        read(source)
    with pytest.raises(DataError, match=r"cat/3\.png"):
        _ = source.identity


def test_links_that_lead_out_of_the_folder_are_refused_and_others_are_not(folder, layouts, tmp_path):
    add_train(folder, layouts)
    inside = folder / "val" / "ant"
    os.symlink(inside / "0.png", inside / "z.png")
    read(open_data(f"folder:{folder}").sources["test"])
    layouts.pictures(tmp_path, ["secret.png"])
    os.symlink(tmp_path / "secret.png", inside / "zz.png")
    with pytest.raises(DataError, match=r"leads out of the data folder[\s\S]*secret\.png"):
        read(open_data(f"folder:{folder}").sources["test"])


def test_a_file_name_that_is_no_text_is_an_error(folder, layouts):
    add_train(folder, layouts)
    (folder / "val" / "ant" / "0.png").rename(os.fsdecode(os.fsencode(folder) + b"/val/ant/\xff.png"))
    with pytest.raises(DataError, match="not UTF-8"):
        read(open_data(f"folder:{folder}").sources["test"])


def test_an_absurdly_large_file_is_refused_unread(folder, layouts):
    add_train(folder, layouts)
    with (folder / "val" / "ant" / "0.png").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(DataError, match="68157440 bytes"):
        read(open_data(f"folder:{folder}").sources["test"])


def test_a_pipe_is_refused_without_waiting_for_it(folder, layouts):
    add_train(folder, layouts)
    os.mkfifo(folder / "val" / "ant" / "a.png")
    source = open_data(f"folder:{folder}").sources["test"]
    for use in (lambda: source.identity, lambda: read(source)):
        with pytest.raises(DataError, match="plain file"):
            use()


def flatten(split):
    for picture in split.glob("*/*"):
        picture.rename(split / f"{picture.parent.name}_{picture.name}")
    for folder in split.iterdir():
        if folder.is_dir():
            folder.rmdir()


def names(root, text):
    (root / "classnames.txt").write_text(text)


DEFECTS = {
    "too few names": (lambda root: names(root, "a\nb\n"), "6 class folders[\\s\\S]*2 class names"),
    "listed folder missing": (lambda root: (root / "wnids.txt").write_text("ant\nfox\n"), "not those listed"),
    "no picture left": (lambda root: [p.rename(root / p.name) for p in (root / "val").glob("*/*")], "no picture of"),
    "pictures without class folders": (lambda root: flatten(root / "val"), r"no class folder here[\s\S]*val"),
    "empty class": (lambda root: (root / "val" / "fox").mkdir(), r"no picture of this class[\s\S]*fox"),
    "mute folders": (lambda root: (root / "val" / "ant").rename(root / "val" / "17"), "say nothing"),
    "other train classes": (lambda root: (root / "train" / "fox" / "x").mkdir(parents=True), "not those listed"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_folder_is_an_error(folder, defect):
    damage, match = DEFECTS[defect]
    damage(folder)
    with pytest.raises(DataError, match=match):
        read(open_data(f"folder:{folder}").sources["test"])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_data(f"folder:{tmp_path / 'nothing'}")


@needs_sample
def test_the_imagenet_sample_is_read_in_imagenets_class_order():
    data = open_data(f"folder:{SAMPLE}", limit=8)
    (batch,) = data.sources["test"].batches(8)
    wnids = [name.partition("/")[0] for name in batch.ids]
    assert [imagenet_wnids()[label] for label in batch.labels] == wnids
    assert min(min(image.shape[:2]) for image in batch.images) >= 224
