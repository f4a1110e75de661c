"""CIFAR's family, the far sets of CLIP's OOD papers, and OpenOOD's lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliability.data.published_prompts import imagenet_wnids
from reliability.data.registry import open_data
from reliability.data.torchvision_sets import PUBLISHED
from reliability.errors import DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_photographs = pytest.mark.skipif(not (SHARED / "cifar10").is_dir(), reason="no CIFAR-10 in ../shared/data")
CIFAR10 = PUBLISHED["CIFAR10"].class_names


def read(data, task):
    batches = list(data.sources[data.tasks[task].part.source].batches(7))
    return {name: np.concatenate([getattr(b, name) for b in batches]).tolist() for name in ("ids", "labels")} | {
        "images": [image for batch in batches for image in batch.images]
    }


def shards(folder, layouts, count=40, start=0):
    members = {}
    for i in range(start, start + count):
        members |= {f"s{i:07d}.png": layouts.encode(layouts.picture(i, 8)), f"s{i:07d}.cls": str(i % 10).encode()}
    layouts.tar(folder / "0.tar", members)
    (folder / "nshards.txt").write_text("1")


def released(folder, labels):
    folder.mkdir()
    levels = np.tile(np.arange(len(labels), dtype=np.uint8), 5)
    for name in ("fog", "snow"):
        np.save(folder / f"{name}.npy", levels[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8))
    np.save(folder / "labels.npy", np.tile(labels, 5))


def ten_one(folder, versions=("v6",)):
    folder.mkdir()
    for version in versions:
        count = 12 if version == "v6" else 8
        np.save(folder / f"cifar10.1_{version}_data.npy", np.zeros((count, 8, 8, 3), np.uint8))
        np.save(folder / f"cifar10.1_{version}_labels.npy", np.arange(count, dtype=np.int32) % 10)


@pytest.fixture
def cifar(tmp_path, layouts):
    root = tmp_path / "root"
    shards(root / "cifar10" / "test", layouts)
    (root / "cifar10" / "classnames.txt").write_text("\n".join(CIFAR10) + "\n")
    released(root / "CIFAR-10-C", np.arange(40) % 10)
    ten_one(root / "cifar10.1", ("v4", "v6"))
    return root


def test_cifar10_is_found_in_shards_with_its_published_prompts(cifar):
    data = open_data("cifar10", root=cifar)
    assert data.tasks["id"].prompts.class_names == CIFAR10
    assert len(read(data, "id")["ids"]) == 30
    assert {"ood/near", "noise/fog/5"} <= set(data.tasks)


def test_cifar10_is_found_in_torchvisions_files(tmp_path):
    for name, set_name in (("cifar-10-batches-py", "cifar10"), ("cifar-100-python", "cifar100")):
        (tmp_path / name).mkdir()
        data = open_data(set_name, root=tmp_path)
        assert data.sources[set_name].identity["collection"]["kind"] == "torchvision"
        assert data.range_setting.identity(5, 0)["collection"]["split"] == "train"
        assert data.notes == ()


def test_shards_of_other_classes_are_an_error(cifar):
    (cifar / "cifar10" / "classnames.txt").write_text("\n".join(reversed(CIFAR10)) + "\n")
    with pytest.raises(DataError, match="not those expected"):
        open_data("cifar10", root=cifar)


def test_a_test_folder_without_shards_is_an_error_and_nothing_is_fetched(cifar):
    for file in (cifar / "cifar10" / "test").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"nshards\.txt"):
        open_data("cifar10", root=cifar)


def test_version_six_of_cifar10_1_comes_first(cifar):
    data = open_data("cifar10.1", root=cifar)
    assert len(read(data, "shift/cifar10.1")["ids"]) == 12
    for file in (cifar / "cifar10.1").glob("*v6*"):
        file.unlink()
    assert len(read(open_data("cifar10.1", root=cifar), "shift/cifar10.1")["ids"]) == 8


def test_cifar10_c_with_a_train_split_shows_all_its_pictures(cifar, layouts):
    shards(cifar / "cifar10" / "train", layouts, start=100)
    data = open_data("cifar10-c", root=cifar)
    assert len(read(data, "noise/fog/3")["ids"]) == 40
    taken = {image.tobytes() for image in data.range_setting(40, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(100, 140)}


def test_cifar10_c_without_one_sets_the_same_of_its_own_aside_everywhere(cifar):
    data = open_data("cifar10-c", root=cifar)
    ids = [read(data, f"noise/{name}/{s}")["ids"] for name in ("fog", "snow") for s in (1, 5)]
    assert len(ids[0]) == 30
    assert all(found == ids[0] for found in ids)
    taken = {int(image[0, 0, 0]) for image in data.range_setting(10, 0).images}
    assert taken.isdisjoint({int(name) for name in ids[0]})


def test_in_a_suite_pictures_set_aside_are_not_shown_damaged_either(cifar, layouts):
    data = open_data("suite:cifar10", root=cifar)
    clean, fog = read(data, "id"), read(data, "noise/fog/2")
    rows = {int(name.rpartition("/s")[2]) for name in clean["ids"]}
    assert rows == {int(name) for name in fog["ids"]}
    assert data.missing == ()
    assert len(read(data, "shift/cifar10.1")["ids"]) == 12
    taken = [image.tobytes() for image in data.range_setting(10, 0).images]
    assert taken == [layouts.picture(i, 8).tobytes() for i in sorted(set(range(40)) - rows)]


def test_in_a_suite_twins_in_another_order_are_an_error_not_a_leak(cifar):
    for file in (cifar / "CIFAR-10-C").iterdir():
        file.unlink()
    (cifar / "CIFAR-10-C").rmdir()
    released(cifar / "CIFAR-10-C", (np.arange(40) + 1) % 10)
    with pytest.raises(DataError, match=r"do not stand in the order of cifar10[\s\S]*train split"):
        read(open_data("suite:cifar10", root=cifar), "noise/fog/2")


@needs_photographs
def test_the_photographs_are_found_by_name():
    pytest.importorskip("pyarrow")
    data = open_data("cifar10", root=SHARED, limit=12)
    assert len(read(data, "id")["ids"]) == 12
    assert data.notes == ()


@pytest.fixture(scope="module")
def far(tmp_path_factory, layouts):
    root = tmp_path_factory.mktemp("far")
    layouts.pictures(root / "imagenet" / "val", [f"{wnid}/x.JPEG" for wnid in imagenet_wnids()], size=1)
    layouts.pictures(root / "iNaturalist" / "images", [f"{i}.jpg" for i in range(12)])
    layouts.pictures(root / "dtd" / "images", [f"banded/{i}.jpg" for i in range(12)])
    return root


@pytest.mark.parametrize(("name", "first"), [("inaturalist", "0.jpg"), ("textures", "banded/0.jpg")])
def test_a_far_set_is_told_from_imagenets_own_pictures(far, name, first):
    data = open_data(name, root=far)
    assert set(data.tasks) == {"id", f"ood/far/{name}"}
    task = data.tasks[f"ood/far/{name}"]
    found = read(data, f"ood/far/{name}")
    assert (found["ids"][0], set(found["labels"]), len(found["ids"])) == (first, {-1}, 12)
    assert task.familiar.source == "imagenet"
    assert len(task.prompts.class_names) == 1000


def test_a_far_set_without_imagenet_is_an_error_that_asks_for_it(tmp_path, layouts):
    layouts.pictures(tmp_path / "SUN" / "images", ["0.jpg"])
    with pytest.raises(DataError, match="benchmark imagenet is not there"):
        open_data("sun", root=tmp_path)


def test_a_suite_leaves_far_sets_out_without_the_pictures_to_tell_them_from(tmp_path, layouts):
    layouts.pictures(tmp_path / "SUN" / "images", ["0.jpg"])
    ids = imagenet_wnids()[:200]
    layouts.pictures(tmp_path / "imagenet-a", [f"{wnid}/x.jpg" for wnid in ids], size=1)
    data = open_data("suite:imagenet", root=tmp_path)
    assert set(data.tasks) == {"shift/imagenet-a"}
    assert {"imagenet", "sun"} <= set(data.missing)


LISTS = {
    "test_cifar10": ("cifar10/test", range(10)),
    "train_cifar10": ("cifar10/train", range(10)),
    "test_cifar100": ("cifar100/test", (-1, 3)),
    "test_tin": ("tin/test", (-1,)),
    "test_mnist": ("mnist/test", (-1,)),
    "test_svhn": ("svhn/test", (-1,)),
    "test_texture": ("texture", (-1,)),
    "test_places365": ("places365", (-1,)),
}


@pytest.fixture
def openood(tmp_path, layouts):
    place = tmp_path / "openood"
    lists = place / "benchmark_imglist" / "cifar10"
    lists.mkdir(parents=True)
    for start, (name, (folder, labels)) in enumerate(LISTS.items()):
        paths = [f"{folder}/a b {i}.png" for i in range(10)]
        layouts.pictures(place / "images_classic", paths, 100 * start)
        lines = (f"{path} {labels[i % len(labels)]}\n" for i, path in enumerate(paths))
        (lists / f"{name}.txt").write_text("".join(lines))
    return tmp_path


def test_openoods_lists_are_near_and_far_tasks(openood, layouts):
    data = open_data("openood-cifar10", root=openood)
    near = {"ood/near/cifar100", "ood/near/tin"}
    assert set(data.tasks) == {"id", *near, *(f"ood/far/{n}" for n in ("mnist", "svhn", "texture", "places365"))}
    found = read(data, "id")
    assert found["labels"] == list(range(10))
    assert found["ids"][2] == "cifar10/test/a b 2.png"
    unfamiliar = read(data, "ood/near/cifar100")
    assert set(unfamiliar["labels"]) == {-1}
    assert np.array_equal(unfamiliar["images"][4], layouts.picture(204, 8))
    taken = {image.tobytes() for image in data.range_setting(10, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(100, 110)}


@pytest.mark.parametrize("line", ["cifar10/test/x.png", "cifar10/test/x.png ten", "cifar10/test/x.png 10"])
def test_a_line_of_another_form_is_an_error_that_names_it(openood, line):
    file = openood / "openood" / "benchmark_imglist" / "cifar10" / "test_cifar10.txt"
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"test_cifar10\.txt, line 11"):
        read(open_data("openood-cifar10", root=openood), "id")


def test_a_list_cannot_lead_out_of_the_images(openood):
    file = openood / "openood" / "benchmark_imglist" / "cifar10" / "test_cifar10.txt"
    file.write_text("../../../../etc/hostname 1\n" * 1)
    with pytest.raises(DataError, match=r"leads out of the data folder|cannot be read"):
        read(open_data("openood-cifar10", root=openood), "id")


def test_a_missing_list_is_an_error(openood):
    (openood / "openood" / "benchmark_imglist" / "cifar10" / "test_tin.txt").unlink()
    with pytest.raises(DataError, match=r"test_tin\.txt"):
        read(open_data("openood-cifar10", root=openood), "ood/near/tin")
