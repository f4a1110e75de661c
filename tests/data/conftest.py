"""Small data folders in the layouts that people have on disk, written by the tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reliability.data import fingerprint, readable


class Layouts:
    """Writers of small fixtures; six classes, 32 px unless said otherwise."""

    CLASSES = ("cat", "dog", "owl", "bee", "ant", "elk")
    TEMPLATES = "a photo of a {c}.\na picture of the {c}.\n"

    @staticmethod
    def picture(seed: int, size: int = 32) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)

    @staticmethod
    def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind)
        return buffer.getvalue()

    @staticmethod
    def tar(path: Path, members: Mapping[str, bytes]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    def members(self, start: int, count: int) -> dict[str, bytes]:
        """Labels go round the classes; picture i is ``picture(i)``."""
        members: dict[str, bytes] = {}
        for i in range(start, start + count):
            members[f"s{i:07d}.cls"] = str(i % len(self.CLASSES)).encode()
            members[f"s{i:07d}.png"] = self.encode(self.picture(i))
        return members

    def shards(self, folder: Path, counts: tuple[int, ...], start: int = 0) -> None:
        for number, count in enumerate(counts):
            self.tar(folder / f"{number}.tar", self.members(start, count))
            start += count
        (folder / "nshards.txt").write_text(f"{len(counts)}\n")

    def names(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "classnames.txt").write_text("\n".join(self.CLASSES) + "\n")
        (folder / "zeroshot_classification_templates.txt").write_text(self.TEMPLATES)

    def pictures(self, folder: Path, names: Iterable[str], start: int = 0, size: int = 8) -> None:
        """PNG files, the first showing ``picture(start)``."""
        for number, name in enumerate(names, start):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.encode(self.picture(number, size)))

    @staticmethod
    def parquet(file: Path, contents: list[bytes | None], labels: list[int | None]) -> None:
        """The Hugging Face layout, in row groups of seven."""
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        images = pa.array([{"bytes": content, "path": None} for content in contents], kind)
        pq.write_table(pa.table({"image": images, "label": pa.array(labels, pa.int64())}), file, row_group_size=7)


@pytest.fixture(autouse=True)
def facts_about_files_are_remembered_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Tests leave nothing in the user's cache folder."""
    folder = tmp_path_factory.mktemp("remembered")
    monkeypatch.setattr(fingerprint, "memory_folder", lambda: folder)
    monkeypatch.setattr(readable, "memory_folder", lambda: folder)


@pytest.fixture(scope="session")
def layouts() -> Layouts:
    return Layouts()


@pytest.fixture
def webdataset_root(tmp_path: Path, layouts: Layouts) -> Path:
    """Two shards of 30 pictures each in six classes, and no train split."""
    root = tmp_path / "set"
    layouts.names(root)
    layouts.shards(root / "test", (30, 30))
    return root
