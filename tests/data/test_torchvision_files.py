"""Sets that torchvision reads from picture files, in small real layouts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from reliability.data import torchvision_loading
from reliability.data.registry import open_data
from reliability.data.torchvision import fetch_torchvision
from reliability.data.torchvision_sets import PUBLISHED
from reliability.errors import DataError, MissingExtraError, UsageError


@pytest.fixture(scope="module")
def datasets():
    pytest.importorskip("torch")
    return torchvision_loading._import_datasets("tests")


def dtd(root, layouts):
    for split, start in (("train1", 0), ("test1", 6), ("val1", 12)):
        names = [f"{name}/{name}_{i}.jpg" for name in ("banded", "blotchy", "woven") for i in (start, start + 1)]
        layouts.pictures(root / "dtd" / "dtd" / "images", names, start)
        labels = root / "dtd" / "dtd" / "labels"
        labels.mkdir(exist_ok=True)
        (labels / f"{split}.txt").write_text("\n".join(names) + "\n")
    return ("banded", "blotchy", "woven"), [0, 0, 1, 1, 2, 2]


def food(root, layouts):
    for split, start in (("train", 0), ("test", 10)):
        listed = {name: [f"{name}/{start + i}" for i in range(2)] for name in ("ice_cream", "apple_pie")}
        layouts.pictures(root / "food-101" / "images", [f"{p}.jpg" for paths in listed.values() for p in paths], start)
        (root / "food-101" / "meta").mkdir(exist_ok=True)
        (root / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(listed))
    return ("apple pie", "ice cream"), [1, 1, 0, 0]


def pets(root, layouts):
    folder = root / "oxford-iiit-pet"
    for split, start in (("trainval", 0), ("test", 10)):
        rows = [(f"great_pyrenees_{start}", 2, 2), (f"Abyssinian_{start}", 1, 1), (f"great_pyrenees_{start + 1}", 2, 2)]
        layouts.pictures(folder / "images", [f"{name}.jpg" for name, _, _ in rows], start)
        (folder / "annotations").mkdir(exist_ok=True)
        text = "".join(f"{name} {label} {kind} 1\n" for name, label, kind in rows)
        (folder / "annotations" / f"{split}.txt").write_text(text)
    return ("Abyssinian", "great pyrenees"), [1, 0, 1]


def flowers(root, layouts, datasets, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    folder = root / "flowers-102"
    layouts.pictures(folder / "jpg", [f"image_{i:05d}.jpg" for i in range(1, 13)], 1)
    savemat(folder / "imagelabels.mat", {"labels": np.arange(1, 13)})
    savemat(folder / "setid.mat", {"trnid": np.arange(1, 5), "valid": np.arange(5, 8), "tstid": np.arange(8, 13)})
    sums = {file: hashlib.md5((folder / file).read_bytes()).hexdigest() for file in ("imagelabels.mat", "setid.mat")}
    files = {"image": ("x", "x"), "label": ("imagelabels.mat", sums["imagelabels.mat"])}
    monkeypatch.setattr(
        datasets.Flowers102, "_file_dict", files | {"setid": ("setid.mat", sums["setid.mat"])}
    )  # the small files have other checksums
    return datasets.Flowers102.classes[:60], [7, 8, 9, 10, 11]


def check(spec, root, layouts, class_names, labels, first):
    """Open, and read everything: names, labels, pixels, ids and identity."""
    data = open_data(spec, root=root)
    source = data.sources["test"]
    shown = source.collection.index
    assert tuple(data.tasks["id"].prompts.class_names[: len(class_names)]) == tuple(class_names)
    assert shown.labels.tolist() == labels
    (batch, *_) = source.batches(64)
    row = int(source.rows[0])
    assert np.array_equal(batch.images[0], layouts.picture(first + row, 8))
    assert (root / str(shown.ids[0])).is_file()
    return data


SETS = {"DTD": (dtd, 6), "Food101": (food, 10), "OxfordIIITPet": (pets, 10)}


@pytest.mark.parametrize("name", SETS)
def test_a_set_of_files_is_read_in_its_published_layout(tmp_path, layouts, datasets, name):  # noqa: ARG001 - imported
    write, first = SETS[name]
    names, labels = write(tmp_path, layouts)
    data = check(f"torchvision:{name}", tmp_path, layouts, names, labels, first)
    taken = {image.tobytes() for image in data.range_setting(len(labels) // 2, 0).images}
    assert taken <= {layouts.picture(i, 8).tobytes() for i in range(first)}, "from the train split"


def test_flowers_are_read_and_called_what_torchvision_calls_them(tmp_path, layouts, datasets, monkeypatch):
    names, labels = flowers(tmp_path, layouts, datasets, monkeypatch)
    names = [name.rstrip("?") for name in names]
    check("torchvision:Flowers102", tmp_path, layouts, names, labels, 8)
    assert len(PUBLISHED["Flowers102"].class_names) == 102


def test_eurosat_has_speaking_names_and_sets_some_pictures_aside(tmp_path, layouts, datasets):  # noqa: ARG001 - imported
    folders = ("AnnualCrop", "Forest", "SeaLake")
    layouts.pictures(tmp_path / "eurosat" / "2750", [f"{f}/{f}_{i}.jpg" for f in folders for i in range(4)])
    names = ("annual crop land", "forest", "lake or sea")
    labels = [i // 4 for i in range(12)]
    data = check("torchvision:EuroSAT", tmp_path, layouts, names, labels, 0)
    assert any("set aside" in note for note in data.notes)


def test_places_are_read_with_labels_in_their_own_order(tmp_path, layouts, datasets, monkeypatch):
    (tmp_path / "categories_places365.txt").write_text("/a/airfield 0\n/a/apartment_building/outdoor 1\n/b/beach 2\n")
    (tmp_path / "places365_val.txt").write_text("".join(f"Places365_val_{i}.jpg {2 - i % 3}\n" for i in range(8)))
    layouts.pictures(tmp_path / "val_large", [f"Places365_val_{i}.jpg" for i in range(8)])
    monkeypatch.setattr(datasets.places365.Places365, "_check_integrity", lambda *_: True)
    names = ("airfield", "apartment building outdoor", "beach")
    check("torchvision:Places365", tmp_path, layouts, names, [2 - i % 3 for i in range(8)], 0)


def test_imagenet_is_read_from_its_unpacked_val_split(tmp_path, layouts, datasets):
    import torch

    wnids = ("n01440764", "n01443537")
    layouts.pictures(tmp_path / "val", [f"{wnid}/ILSVRC2012_val_{i}.JPEG" for wnid in wnids for i in range(4)])
    torch.save(({wnid: (wnid,) for wnid in wnids}, []), tmp_path / "meta.bin")
    assert datasets.ImageNet
    check("torchvision:ImageNet", tmp_path, layouts, ("tench", "goldfish"), [0] * 4 + [1] * 4, 0)


def test_svhn_is_read_out_of_its_arrays(tmp_path, datasets, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 9), dtype=np.uint8)
    listed = {}
    for split in ("train", "test"):
        file = tmp_path / f"{split}_32x32.mat"
        savemat(file, {"X": pixels, "y": np.array([[10], [1], [2], [3], [4], [5], [6], [7], [8]])})
        listed[split] = ["http://x", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed | {"extra": listed["test"]})
    (batch,) = open_data("torchvision:SVHN", root=tmp_path).sources["test"].batches(9)
    assert batch.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8], "the digit 0 is stored as 10"
    assert np.array_equal(batch.images[4], pixels[..., 4])


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - {"CIFAR10", "CIFAR100"}))
def test_files_that_are_not_there_are_an_error_on_opening_that_says_how_to_get_them(tmp_path, name):
    with pytest.raises(DataError, match="is not there") as caught:
        open_data(f"torchvision:{name}", root=tmp_path)
    assert f"reliability fetch torchvision:{name} --data-root {tmp_path}" in caught.value.next
    assert PUBLISHED[name].archive in caught.value.next
    assert list(tmp_path.iterdir()) == [], "nothing was fetched"


def test_a_damaged_class_list_is_an_error_that_names_it(tmp_path, layouts):
    pets(tmp_path, layouts)
    (tmp_path / "oxford-iiit-pet" / "annotations" / "test.txt").write_text("Abyssinian_1\n")
    with pytest.raises(DataError, match=r"class names cannot be read[\s\S]*test\.txt"):
        open_data("torchvision:OxfordIIITPet", root=tmp_path)


def test_an_unreadable_file_of_a_set_is_an_error_that_names_it(tmp_path, layouts, datasets):  # noqa: ARG001 - imported
    dtd(tmp_path, layouts)
    (tmp_path / "dtd" / "dtd" / "images" / "banded" / "banded_6.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"unreadable image[\s\S]*banded_6\.jpg"):
        next(open_data("torchvision:DTD", root=tmp_path).sources["test"].batches(9))


def test_identity_is_by_content_and_needs_no_torchvision(tmp_path, layouts):
    dtd(tmp_path, layouts)
    code = (
        "import sys, json; from pathlib import Path; from reliability.data.registry import open_data\n"
        f"print(json.dumps(open_data('torchvision:DTD', root=Path({str(tmp_path)!r})).sources['test'].identity))\n"
        "print(sorted({'torch', 'torchvision'} & set(sys.modules)))"
    )

    def identity():
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        found, imported = done.stdout.strip().splitlines()
        assert imported == "[]"
        return found

    before = identity()
    layouts.pictures(tmp_path / "dtd" / "dtd" / "images", ["banded/banded_6.jpg"], start=99)
    assert identity() != before


class Fetching:
    """Stands in for a set that can be fetched."""

    asked: list[tuple[str, bool]] = []  # noqa: RUF012 - cleared by the test

    def __init__(self, *, root, split, download):  # noqa: ARG002 - as torchvision's
        Fetching.asked.append((split, download))


def test_fetching_asks_torchvision_for_every_split_that_is_used(tmp_path, monkeypatch):
    Fetching.asked.clear()
    monkeypatch.setattr(torchvision_loading, "_import_datasets", lambda _: SimpleNamespace(DTD=Fetching))
    assert fetch_torchvision("DTD", tmp_path / "new") == tmp_path / "new"
    assert Fetching.asked == [("test", True), ("train", True)]


def test_fetching_without_a_network_says_what_to_fetch_and_where_it_goes(tmp_path, monkeypatch):
    def offline(**_):
        raise OSError("no network")

    monkeypatch.setattr(torchvision_loading, "_import_datasets", lambda _: SimpleNamespace(DTD=offline))
    with pytest.raises(DataError, match=r"could not be fetched[\s\S]*dtd-r1\.0\.1\.tar\.gz"):
        fetch_torchvision("DTD", tmp_path)
    with pytest.raises(UsageError, match="did you mean DTD"):
        fetch_torchvision("DTDs", tmp_path)


def test_another_torchvision_that_keeps_its_lists_elsewhere_is_named(tmp_path, layouts, monkeypatch):
    dtd(tmp_path, layouts)
    monkeypatch.setattr(torchvision_loading, "_import_datasets", lambda _: SimpleNamespace(DTD=Fetching))
    with pytest.raises(MissingExtraError, match="elsewhere"):
        _ = open_data("torchvision:DTD", root=tmp_path).sources["test"].collection.index
