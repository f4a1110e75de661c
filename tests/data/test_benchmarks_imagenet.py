"""ImageNet's family below a data root."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reliability.data.benchmarks.registry import BENCHMARKS, SUITES
from reliability.data.published_prompts import imagenet_prompts, imagenet_wnids
from reliability.data.registry import open_data
from reliability.errors import DataError

WNIDS = imagenet_wnids()
SOME = WNIDS[1:1000:5]
"""Two hundred classes, as of ImageNet-A."""


def val_name(wnid):
    return f"{wnid}/ILSVRC2012_val_{WNIDS.index(wnid):08d}.JPEG"


@pytest.fixture(scope="module")
def root(tmp_path_factory, layouts):
    """Every set with one picture per class, and one corruption; no train split."""
    root = tmp_path_factory.mktemp("benchmarks")
    picture = layouts.encode(layouts.picture(0, 2))

    def write(folder, names):
        for name in names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture)

    write(root / "imagenet" / "val", map(val_name, WNIDS))
    write(root / "imagenetv2-matched-frequency-format-val", (f"{i}/x.jpeg" for i in range(1000)))
    write(root / "imagenet-a", (f"{wnid}/0.jpg" for wnid in SOME))
    write(root / "imagenet-r", (f"{wnid}/art_0.jpg" for wnid in SOME[::-1]))
    write(root / "sketch", (f"{wnid}/sketch_0.JPEG" for wnid in WNIDS))
    write(root / "imagenet-c" / "weather" / "fog", (f"{s}/{val_name(wnid)}" for s in range(1, 6) for wnid in WNIDS))
    return root


def shown(data, task):
    batches = list(data.sources[data.tasks[task].part.source].batches(500))
    return [np.concatenate([getattr(batch, name) for batch in batches]).tolist() for name in ("ids", "labels")]


def test_imagenet_has_its_classes_in_order_and_published_names_and_templates(root):
    data = open_data("imagenet", root=root)
    ids, labels = shown(data, "id")
    assert [WNIDS[label] for label in labels] == [name.partition("/")[0] for name in ids]
    assert data.tasks["id"].prompts == imagenet_prompts()
    assert len(data.tasks["id"].prompts.templates) == 80
    assert {"ood/near", "noise/fog/5"} <= set(data.tasks)


def test_without_a_train_split_pictures_are_set_aside(root):
    data = open_data("imagenet", root=root)
    assert len(shown(data, "id")[0]) == 750
    assert any("set aside" in note for note in data.notes)


def test_v2_is_labelled_by_number_not_by_the_order_of_its_folders(root):
    data = open_data("imagenet-v2", root=root)
    ids, labels = shown(data, "shift/imagenet-v2")
    assert [int(name.partition("/")[0]) for name in ids] == labels
    assert set(data.tasks) == {"shift/imagenet-v2"}


@pytest.mark.parametrize("name", ["imagenet-a", "imagenet-r"])
def test_sets_of_some_classes_are_told_apart_among_those_only(root, name):
    data = open_data(name, root=root)
    ids, labels = shown(data, f"shift/{name}")
    prompts = data.tasks[f"shift/{name}"].prompts
    assert len(prompts.class_names) == 200
    for path, label in zip(ids, labels, strict=True):
        wnid = path.partition("/")[0]
        assert prompts.class_names[label] == imagenet_prompts().class_names[WNIDS.index(wnid)]


def test_their_classes_are_those_that_timm_publishes():
    import importlib.util

    spec = importlib.util.find_spec("timm")
    if spec is None:
        pytest.skip("timm is not installed")
    folder = Path(spec.origin).parent / "data" / "_info"
    published = {name: (folder / f"{name}_synsets.txt").read_text().split() for name in ("imagenet", "imagenet_a")}
    assert tuple(published["imagenet"]) == WNIDS
    assert len(published["imagenet_a"]) == 200
    assert set(published["imagenet_a"]) < set(WNIDS)


def test_shifted_pictures_are_all_shown_and_ranges_are_set_on_imagenet(root):
    data = open_data("imagenet-a", root=root)
    assert len(shown(data, "shift/imagenet-a")[0]) == 200
    taken = data.range_setting(10, 0)
    assert len(taken.images) == 10
    assert data.notes == ()
    names = {name for template in imagenet_prompts().templates for name in [template.partition("{c}")[0]]}
    assert all(any(caption.startswith(name) for name in names) for caption in taken.captions)


def test_a_set_alone_sets_some_of_its_own_pictures_aside(root, tmp_path):
    (tmp_path / "imagenet-a").symlink_to(root / "imagenet-a")
    data = open_data("imagenet-a", root=tmp_path)
    assert len(shown(data, "shift/imagenet-a")[0]) == 150
    assert len(data.range_setting(50, 0).images) == 50


def test_a_train_split_sets_ranges_and_nothing_is_set_aside(root, tmp_path, layouts):
    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "val").symlink_to(root / "imagenet" / "val")
    layouts.pictures(tmp_path / "imagenet" / "train", [f"{wnid}/{wnid}_1.JPEG" for wnid in WNIDS], size=2)
    data = open_data("imagenet", root=tmp_path)
    assert data.notes == ()
    assert len(shown(data, "id")[0]) == 1000
    (tmp_path / "imagenet" / "train" / WNIDS[0] / "new.JPEG").write_bytes(layouts.encode(layouts.picture(3, 2)))
    assert len(data.range_setting(20, 1).captions) == 20


def test_released_corruptions_pair_up_and_never_show_what_sets_ranges(root):
    data = open_data("imagenet-c", root=root)
    assert list(data.tasks) == [f"noise/fog/{s}" for s in range(1, 6)]
    mildest, strongest = (shown(data, f"noise/fog/{s}")[0] for s in (1, 5))
    assert mildest == strongest
    assert len(mildest) == 750


def test_a_suite_runs_what_is_there_and_says_what_is_not(root):
    data = open_data("suite:imagenet", root=root)
    assert {"id", "shift/imagenet-v2", "shift/imagenet-a", "shift/imagenet-sketch", "noise/fog/1"} <= set(data.tasks)
    assert set(data.missing) == {
        "objectnet", "counteranimal", "waterbirds", "celeba", "inaturalist", "sun", "places", "textures",
    }  # fmt: skip
    (line,) = (note for note in data.notes if note.startswith("objectnet"))
    assert str(root / "objectnet-1.0") in line
    assert "objectnet.dev" in line


def test_in_a_suite_released_corruptions_take_the_place_of_computed_ones(root):
    data = open_data("suite:imagenet", root=root)
    noisy = {task.part.source for name, task in data.tasks.items() if name.startswith("noise/")}
    assert noisy == {f"imagenet-c/fog/{s}" for s in range(1, 6)}


def test_in_a_suite_no_damaged_twin_of_a_range_setting_picture_is_shown(root):
    data = open_data("suite:imagenet", root=root)
    clean, fog = (set(shown(data, task)[0]) for task in ("id", "noise/fog/3"))
    assert fog == clean
    assert len(fog) == 750


def test_nothing_of_a_suite_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"nothing of suite imagenet[\s\S]*doctor"):
        open_data("suite:imagenet", root=tmp_path)


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_benchmark_that_is_not_there_is_an_error_that_says_where_it_goes(tmp_path, name):
    with pytest.raises(DataError, match="is not there") as caught:
        open_data(name, root=tmp_path)
    assert str(tmp_path / BENCHMARKS[name].places[0]) in caught.value.next


def test_suites_and_bases_name_benchmarks():
    named = {name for members in SUITES.values() for name in members}
    assert named | {b.base for b in BENCHMARKS.values() if b.base} <= set(BENCHMARKS)


@pytest.mark.parametrize(("name", "place"), [("imagenet-a", "imagenet-a"), ("imagenet-sketch", "sketch")])
def test_part_of_a_set_is_an_error(tmp_path, layouts, name, place):
    layouts.pictures(tmp_path / place, [f"{wnid}/0.jpg" for wnid in SOME[:7]], size=2)
    with pytest.raises(DataError, match=r"class folders[\s\S]*got:   7"):
        open_data(name, root=tmp_path)


def test_class_folders_that_are_not_imagenets_are_an_error(tmp_path, layouts):
    layouts.pictures(tmp_path / "imagenet-r", [f"n{i:08d}/0.jpg" for i in range(200)], size=2)
    with pytest.raises(DataError, match="not a WordNet id of an ImageNet class"):
        open_data("imagenet-r", root=tmp_path)
    layouts.pictures(tmp_path / "imagenet-v2", [f"{i + 1}/0.jpg" for i in range(1000)], size=1)
    with pytest.raises(DataError, match=r"not the labels 0 to 999[\s\S]*1000"):
        open_data("imagenet-v2", root=tmp_path)


def test_a_corruption_without_one_severity_is_an_error(tmp_path, layouts):
    layouts.pictures(tmp_path / "imagenet-c", [f"fog/{s}/{val_name(WNIDS[0])}" for s in (1, 2, 3, 5)], size=2)
    with pytest.raises(DataError, match=r"severity is missing[\s\S]*4"):
        open_data("imagenet-c", root=tmp_path)
    (tmp_path / "imagenet-c" / "fog").rename(tmp_path / "imagenet-c" / "mist")
    with pytest.raises(DataError, match=r"no corruption here[\s\S]*mist"):
        open_data("imagenet-c", root=tmp_path)


@pytest.fixture
def objectnet(tmp_path, layouts):
    """Three folders, of which two are of the overlap; a red border of two pixels."""
    place = tmp_path / "objectnet-1.0"
    layouts.pictures(place / "images", [f"{f}/{i}.png" for f in ("alarm", "chair", "ruler") for i in range(4)], size=12)
    maps = {
        "folder_to_objectnet_label.json": {"alarm": "Alarm clock", "chair": "Chair", "ruler": "Ruler"},
        "objectnet_to_imagenet_1k.json": {"Ruler": "rule, ruler", "Alarm clock": "analog clock; digital clock"},
    }
    (place / "mappings").mkdir()
    for name, content in maps.items():
        (place / "mappings" / name).write_text(json.dumps(content))
    return tmp_path


def test_objectnet_shows_the_overlap_without_its_border(objectnet, layouts):
    data = open_data("objectnet", root=objectnet)
    source = data.sources["objectnet"]
    (batch,) = source.batches(20)
    assert data.tasks["shift/objectnet"].prompts.class_names == ("alarm clock", "ruler")
    assert len(source.collection.index.ids) == 8
    assert {image.shape for image in batch.images} == {(8, 8, 3)}
    folder, number = str(batch.ids[0]).removesuffix(".png").split("/")
    whole = layouts.picture(("alarm", "chair", "ruler").index(folder) * 4 + int(number), 12)
    assert np.array_equal(batch.images[0], whole[2:-2, 2:-2])


@pytest.mark.parametrize("content", ["{", "[]", '{"Spoon": "x"}'])
def test_damaged_mappings_are_an_error(objectnet, content):
    (objectnet / "objectnet-1.0" / "mappings" / "objectnet_to_imagenet_1k.json").write_text(content)
    with pytest.raises(DataError, match="mappings"):
        open_data("objectnet", root=objectnet)
