"""The embedded sets never change: published figures and cached embeddings stay those of the same pictures.

``scene_pixels.json`` holds four hexadecimal digits of a checksum for each of the first 64
pictures of every set. The first five sets are as old as the project and are held by a digest
of pixels, labels, groups and ids, too, taken before there were any others.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.data.scenes.sets import SOURCES

HELD = json.loads((Path(__file__).parent / "scene_pixels.json").read_text())
COUNT = 64

FIRST_SETS = {
    "id": "0984259411137cc0",
    "near": "1875a4ccf45a1a11",
    "far": "fbe91b6070828f3b",
    "unseen_backgrounds": "0c8baf5ae56450bd",
    "spurious": "4acc258adffa98f2",
}
IDENTITIES = "c1b92717c9defdbb"
"""Of the first five sets and all damaged ones."""

LABELS = "41b400b9a409"
"""Labels and groups of all sets."""


def source_of(name):
    return next(source for source in SOURCES if source.name == name).first(COUNT)


def read(name):
    return next(source_of(name).batches(COUNT))


def held(name):
    return [HELD[name][at : at + 4] for at in range(0, 4 * COUNT, 4)]


def checksums(batch):
    return [f"{zlib.crc32(image.tobytes()) & 0xFFFF:04x}" for image in batch.images]


def digest(batches):
    sha = hashlib.sha256()
    for batch in batches:
        columns = [column.astype("<i8").tobytes() for column in (batch.labels, batch.groups)]
        sha.update(b"".join([*(image.tobytes() for image in batch.images), *columns, "\n".join(batch.ids).encode()]))
    return sha.hexdigest()[:16]


def test_every_set_is_held():
    assert list(HELD) == [source.name for source in SOURCES]


@pytest.mark.parametrize("name", HELD)
def test_pictures_are_those_that_were_published(name):
    """Another processor may round a value the other way, so one picture of a set may differ."""
    assert sum(now != then for now, then in zip(checksums(read(name)), held(name), strict=True)) <= 1


@pytest.mark.parametrize("name", FIRST_SETS)
def test_the_first_sets_are_as_they_were_in_every_bit(name):
    if checksums(read(name)) != held(name):
        pytest.skip("this processor rounds a picture otherwise; the test above allows for one")
    assert digest(source_of(name).batches(32)) == FIRST_SETS[name]


def test_a_changed_picture_would_be_noticed():
    batch = read("id")
    batch.images[5][0, 0, 0] ^= 1
    assert checksums(batch)[5] != held("id")[5]


def test_identities_of_the_first_sets_and_of_noise_are_as_they_were():
    sources = open_data("scenes").sources
    first = {name: dict(source.identity) for name, source in sources.items()
             if name in FIRST_SETS or name.split("/")[-1].isdigit()}  # fmt: skip
    assert len(first) == len(FIRST_SETS) + 19 * 5
    assert hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()[:16] == IDENTITIES


def test_labels_and_groups_of_all_sets_are_stable():
    columns = [np.concatenate([batch.labels, batch.groups]) for batch in map(read, HELD)]
    assert hashlib.sha256(np.stack(columns).astype("<i8").tobytes()).hexdigest()[:12] == LABELS
