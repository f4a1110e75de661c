from __future__ import annotations

import hashlib
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from reliability.data import torchvision_loading
from reliability.data.published_prompts import imagenet_wnids
from reliability.data.registry import KINDS, open_data
from reliability.data.torchvision_sets import PUBLISHED
from reliability.errors import DataError, MissingExtraError, UsageError

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10"
needs_photographs = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no CIFAR-10 photographs in ../shared/data")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("sceens", r"did you mean scenes\? known: .*scenes, .*torchvision, .*webdataset"),
        ("imagefolder:x", "unknown kind of data"),
        ("imagenet-b", "did you mean imagenet-"),
        ("imagenet-a:x", "takes no location"),
        ("suite:imagnet", "did you mean imagenet"),
        ("folder", "folder needs a folder"),
        ("csv", "csv needs a file"),
        ("npy", "npy needs a folder"),
        ("parquet", "parquet needs a folder"),
        ("", "unknown kind of data"),
        ("scenes:x", "no location"),
        ("webdataset", "needs a folder"),
        ("torchvision", "needs a set"),
        ("torchvision:CIFAR", "did you mean CIFAR10 or CIFAR100"),
    ],
)
def test_unknown_specifications_are_usage_errors(spec, match):
    with pytest.raises(UsageError, match=match):
        open_data(spec)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_a_usage_error(limit):
    with pytest.raises(UsageError, match="--limit"):
        open_data("scenes", limit=limit)


def test_an_unknown_task_is_a_usage_error_with_what_was_perhaps_meant():
    with pytest.raises(UsageError, match="did you mean ood/near"):
        open_data("scenes").task("ood/naer")
    assert open_data("scenes").task("ood/near").role == "ood"


def test_a_negative_number_of_unreadable_pictures_is_a_usage_error():
    with pytest.raises(UsageError, match="--skip-unreadable"):
        open_data("scenes", skip_unreadable=-1)


def test_each_kind_says_what_it_opens_in_one_line():
    assert all(kind.summary.endswith(".") and "\n" not in kind.summary for kind in KINDS.values())


def test_opening_data_imports_no_learning_framework(webdataset_root, layouts):
    root = webdataset_root.parent
    layouts.pictures(root / "folder", [f"{name}/{i}.png" for name in layouts.CLASSES for i in range(3)])
    (root / "table.csv").write_text("path,label\n" + "".join(f"folder/cat/{i}.png,cat\n" for i in range(3)))
    np.save(root / "set" / "images.npy", np.zeros((3, 8, 8, 3), np.uint8))
    np.save(root / "set" / "labels.npy", np.zeros(3, np.int64))
    layouts.pictures(root / "imagenet-r", [f"{wnid}/0.png" for wnid in imagenet_wnids()[:200]])
    specs = [
        "scenes",
        "torchvision:CIFAR10",
        "webdataset:set",
        "folder:folder",
        "csv:table.csv",
        "npy:set",
        "imagenet-r",
    ]
    code = (
        "import sys; from pathlib import Path; from reliability.data.registry import open_data\n"
        f"opened = [open_data(spec, root=Path({str(root)!r})) for spec in {specs}]\n"
        "identities = [source.identity for data in opened for source in data.sources.values()]\n"
        "print(sorted({'torch', 'torchvision', 'open_clip', 'timm', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class FakeCifar:
    """Stands in for torchvision's class: ten pictures, fetched on request."""

    fetched = False
    classes = PUBLISHED["CIFAR10"].class_names

    def __init__(self, *, root, train, download):
        assert Path(root).is_absolute()
        if not (FakeCifar.fetched or download):
            raise RuntimeError("Dataset not found or corrupted.")
        FakeCifar.fetched = True
        self.targets = [i % 10 for i in range(20)]
        self.offset = 100 if train else 0

    def __getitem__(self, index):
        return Image.fromarray(np.full((32, 32, 3), self.offset + index, np.uint8)), self.targets[index]


class OfflineCifar(FakeCifar):
    def __init__(self, *, download, **_):
        raise OSError("no network") if download else RuntimeError("Dataset not found or corrupted.")


def install(monkeypatch, fake):
    monkeypatch.setattr(FakeCifar, "fetched", False)
    monkeypatch.setattr(torchvision_loading, "_import_datasets", lambda _: SimpleNamespace(CIFAR10=fake))


def test_a_torchvision_set_is_fetched_once_and_read(monkeypatch, tmp_path):
    install(monkeypatch, FakeCifar)
    data = open_data("torchvision:CIFAR10", root=tmp_path / "new")
    batches = list(data.sources["test"].batches(8))
    assert FakeCifar.fetched
    assert [len(batch.images) for batch in batches] == [8, 8, 4]
    assert batches[0].ids[3] == "CIFAR10/test/3"
    assert batches[0].images[3][0, 0].tolist() == [3, 3, 3]
    taken = data.range_setting(5, 0)
    assert all(image[0, 0, 0] >= 100 for image in taken.images), "from the train split"
    assert data.tasks["ood/near"].part.labels == (4, 9)


def test_torchvision_itself_reads_a_folder_in_its_published_layout(monkeypatch, tmp_path):
    """Real files and torchvision's own reader; only the checksums are those of the small files."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    cifar = torchvision_loading._import_datasets("CIFAR10").CIFAR10
    folder = tmp_path / cifar.base_folder
    folder.mkdir()
    pixels = np.arange(12 * 3072).reshape(12, 3072).astype(np.uint8)
    content = {
        "test_batch": {"data": pixels, "labels": [i % 10 for i in range(12)]},
        "batches.meta": {"label_names": list(FakeCifar.classes)},
    }
    sums = {}
    for name, value in content.items():
        (folder / name).write_bytes(pickle.dumps(value))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(cifar, "train_list", [])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]})
    (batch,) = open_data("torchvision:CIFAR10", root=tmp_path).sources["test"].batches(12)
    assert batch.labels.tolist() == [i % 10 for i in range(12)]
    assert np.array_equal(batch.images[5], pixels[5].reshape(3, 32, 32).transpose(1, 2, 0))


def test_without_a_network_the_error_says_what_to_fetch_and_where_it_goes(monkeypatch, tmp_path):
    install(monkeypatch, OfflineCifar)
    source = open_data("torchvision:CIFAR10", root=tmp_path).sources["test"]
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz") as caught:
        next(source.batches(2))
    assert "https://" in caught.value.next
    assert str(tmp_path) in caught.value.next


def test_classes_in_another_order_are_an_error(monkeypatch, tmp_path):
    install(monkeypatch, type("Shuffled", (FakeCifar,), {"classes": FakeCifar.classes[::-1]}))
    with pytest.raises(DataError, match="not those expected"):
        next(open_data("torchvision:CIFAR10", root=tmp_path).sources["test"].batches(2))


def test_a_missing_torchvision_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reliability.torchvision_shim", None)
    with pytest.raises(MissingExtraError, match="pip install torchvision"):
        torchvision_loading._import_datasets("CIFAR10")


@pytest.mark.parametrize(("name", "classes"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_published_class_names_are_distinct_and_in_alphabetical_order(name, classes):
    names = PUBLISHED[name].class_names
    assert len(set(names)) == classes
    assert list(names) == sorted(names)


@needs_photographs
def test_real_photographs_are_read_with_their_labels():
    data = open_data(f"webdataset:{PHOTOGRAPHS}", limit=16)
    (batch,) = data.sources["test"].batches(16)
    assert {image.shape for image in batch.images} == {(32, 32, 3)}
    assert set(batch.labels) <= set(range(10))
    assert data.tasks["ood/near"].part.labels == (4, 9)
    assert data.notes == ()


@needs_photographs
def test_real_range_setting_photographs_come_from_the_train_split():
    pytest.importorskip("pyarrow")
    taken = open_data(f"webdataset:{PHOTOGRAPHS}").range_setting(4, 0)
    assert len(taken.captions) == 4
    assert taken.identity["collection"]["kind"] == "parquet"
