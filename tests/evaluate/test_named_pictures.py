"""A picture that is asked for by name is the one the source shows, of whatever kind the source is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reliability.data.registry import open_data
from reliability.evaluate.named_pictures import MOST_READ, pictures_named
from reliability.types import ImageBatch, ImageSource

LIMIT = 40


def shown(source: ImageSource) -> dict[str, np.ndarray]:
    batches = list(source.batches(16))
    return {n: image for batch in batches for n, image in zip(batch.ids.tolist(), batch.images, strict=True)}


@pytest.fixture(scope="module")
def scenes() -> dict[str, ImageSource]:
    return dict(open_data("scenes", limit=LIMIT).sources)


@pytest.mark.parametrize("name", ["id", "far", "sketch", "id/gaussian_noise/3", "full_spectrum"])
def test_a_scene_is_rendered_alone_as_among_others(scenes: dict[str, ImageSource], name: str) -> None:
    everything = shown(scenes[name])
    wanted = list(everything)[1::7]
    found = pictures_named(scenes[name], [*reversed(wanted), "no/such/picture"])
    assert sorted(found) == sorted(wanted)
    assert all(np.array_equal(found[name], everything[name]) for name in wanted)


def test_a_file_is_decoded_alone_as_among_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        folder = tmp_path / "val" / label
        folder.mkdir(parents=True)
        for i in range(8):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    source = open_data(f"folder:{tmp_path}").sources["test"]
    everything = shown(source)
    wanted = list(everything)[2:5]
    found = pictures_named(source, wanted)
    assert list(found) == wanted
    assert all(np.array_equal(found[name], everything[name]) for name in wanted)
    assert pictures_named(source, []) == {}


class Endless:
    """A source of another kind, that can only be read from its start."""

    name, identity = "endless", {"kind": "endless"}

    def __init__(self) -> None:
        self.read = 0

    def batches(self, size: int) -> Iterator[ImageBatch]:
        while True:
            ids = np.array([str(self.read + i) for i in range(size)])
            none = np.full(size, -1)
            self.read += size
            yield ImageBatch([np.full((2, 2, 3), 7, np.uint8)] * size, none, none, ids)


def test_a_source_without_a_way_to_a_single_picture_is_read_for_a_while_only() -> None:
    source = Endless()
    assert list(pictures_named(source, ["5"])) == ["5"]
    assert source.read == 32
    assert list(pictures_named(source, ["40", "999999"])) == ["40"]
    assert source.read == 32 + MOST_READ
