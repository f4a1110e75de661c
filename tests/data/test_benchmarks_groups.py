"""Benchmarks of spurious cues."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.errors import DataError


def read(data, task):
    batches = list(data.sources[data.tasks[task].part.source].batches(7))
    return {name: np.concatenate([getattr(b, name) for b in batches]).tolist() for name in ("ids", "labels", "groups")}


@pytest.fixture
def waterbirds(tmp_path, layouts):
    place = tmp_path / "waterbird_complete95_forest2water2"
    paths = [f"{i % 4:03d}.Bird/bird_{i}.png" for i in range(24)]
    layouts.pictures(place, paths)
    rows = [f"{i + 1},{path},{i % 2},{(2, 0, 1)[i % 3]},{(i // 2) % 2},/x" for i, path in enumerate(paths)]
    text = "img_id,img_filename,y,split,place,place_filename\n" + "\n".join(rows) + "\n"
    (place / "metadata.csv").write_text(text)
    return tmp_path


def test_waterbirds_has_four_groups_and_two_sides_of_the_cue(waterbirds, layouts):
    data = open_data("waterbirds", root=waterbirds)
    groups, sides = read(data, "spurious/waterbirds"), read(data, "spurious/waterbirds_cue")
    assert groups["ids"] == sides["ids"]
    for label, group, side in zip(groups["labels"], groups["groups"], sides["groups"], strict=True):
        place = group - 2 * label
        assert side == int(place != label), "common where the bird stands where it lives"
    assert data.tasks["spurious/waterbirds"].group_names[1] == "landbird on water"
    assert data.tasks["spurious/waterbirds_cue"].group_names == ("common", "counter")
    taken = {image.tobytes() for image in data.range_setting(8, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(24) if i % 3 == 1}


def test_waterbirds_without_its_columns_is_an_error(waterbirds):
    table = waterbirds / "waterbird_complete95_forest2water2" / "metadata.csv"
    table.write_text(table.read_text().replace(",place,", ",background,"))
    with pytest.raises(DataError, match="no column place"):
        open_data("waterbirds", root=waterbirds)


@pytest.fixture
def celeba(tmp_path, layouts):
    """Picture i is blond where i is odd, male where i // 2 is; parts 0, 1, 2 in turn."""
    place = tmp_path / "celeba"
    layouts.pictures(place / "img_align_celeba", [f"{i:06d}.jpg" for i in range(1, 25)], 1)
    sign = {True: " 1", False: "-1"}
    rows = [f"{i:06d}.jpg {sign[i % 3 == 0]} {sign[i % 2 == 1]} {sign[i // 2 % 2 == 1]}" for i in range(1, 25)]
    (place / "list_attr_celeba.txt").write_text("24\nSmiling Blond_Hair Male\n" + "\n".join(rows) + "\n")
    parts = "".join(f"{i:06d}.jpg {i % 3}\n" for i in range(1, 25))
    (place / "list_eval_partition.txt").write_text(parts)
    return tmp_path


def test_celeba_is_grouped_by_hair_and_gender(celeba, layouts):
    data = open_data("celeba", root=celeba)
    found = read(data, "spurious/celeba")
    numbers = [int(name[:6]) for name in found["ids"]]
    assert numbers == [i for i in range(1, 25) if i % 3 == 2]
    assert found["labels"] == [i % 2 for i in numbers]
    assert found["groups"] == [2 * (i % 2) + i // 2 % 2 for i in numbers]
    assert data.tasks["spurious/celeba"].group_names[3] == "blond hair, male"
    taken = {image.tobytes() for image in data.range_setting(8, 0).images}
    assert taken == {layouts.picture(i, 8).tobytes() for i in range(1, 25) if i % 3 == 0}


@pytest.mark.parametrize("text", ["", "24\nSmiling Male\n", "24\nBlond_Hair Male\n000002.jpg 1\n"])
def test_celebas_attributes_in_another_form_are_an_error(celeba, text):
    (celeba / "celeba" / "list_attr_celeba.txt").write_text(text)
    with pytest.raises(DataError, match=r"list_attr_celeba\.txt"):
        read(open_data("celeba", root=celeba), "spurious/celeba")


def animals(root, layouts, folders=("9 ostrich", "100 black swan", "291 lion")):
    place = root / "counteranimal" / "LAION-final"
    sides = ("common-grass", "counter-water")
    layouts.pictures(place, [f"{f}/{side}/{i}.jpg" for f in folders for side in sides for i in range(4)])
    return root


def test_counteranimal_is_told_from_all_classes_in_two_groups(tmp_path, layouts):
    data = open_data("counteranimal", root=animals(tmp_path, layouts))
    found = read(data, "spurious/counteranimal")
    for name, label, group in zip(found["ids"], found["labels"], found["groups"], strict=True):
        assert int(name.partition(" ")[0]) == label
        assert group == int("/counter-" in name)
    task = data.tasks["spurious/counteranimal"]
    assert (len(task.prompts.class_names), task.group_names) == (1000, ("common", "counter"))
    assert task.prompts.class_names[100] == "black swan"


@pytest.mark.parametrize(
    ("folders", "match"),
    [
        (("ostrich", "9 ostrich"), "an ImageNet label and a name"),
        (("1000 ostrich", "9 ostrich"), "an ImageNet label and a name"),
        (("0 ostrich", "1 black swan", "2 lion"), "not ImageNet's labels"),
    ],
)
def test_animal_folders_that_are_not_numbered_by_imagenet_are_an_error(tmp_path, layouts, folders, match):
    with pytest.raises(DataError, match=match):
        open_data("counteranimal", root=animals(tmp_path, layouts, folders))
