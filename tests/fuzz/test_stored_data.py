"""Data on disk: whatever the files hold, the answer is pictures or an error of our own, in bounded time and memory."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from making_input import damaged, survives, tar_of, tried
from PIL import Image

from reliability.data.dataset import DataSet
from reliability.data.registry import open_data
from reliability.models.kinds.embeddings import image_features, text_features
from reliability.models.spec import parse_candidate


def _png(side: int = 4) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)).save(out, "PNG")
    return out.getvalue()


PNG = _png()


def read_all(data: DataSet) -> None:
    """Everything that a run reads, without a model."""
    for name in ("test",):
        source = data.sources[name]
        assert source.identity
        for batch in source.batches(2):
            assert len(batch.images) == len(batch.labels) == len(batch.ids)


def _opened(place: Path, kind: str) -> None:
    read_all(open_data(f"{kind}:{place}"))


@pytest.fixture(scope="module")
def names(scratch: Path) -> Path:
    (scratch / "classnames.txt").write_text("cat\ndog\n")
    return scratch


CONTENTS = [PNG, PNG[:40], b"0", b"1", b"7", b"cat", b'{"label": 1}', b"[" * 5000, b""]
TYPES = [
    tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE,
]  # fmt: skip
_member = st.tuples(
    st.sampled_from(["a", "b", "../up", "/abs", "x/y", "a.b", "", "\x1b[2J", "ü", "." * 90]),
    st.sampled_from(["jpg", "png", "cls", "json", "txt", "PNG", "exe", ""]),
    st.sampled_from([PNG, PNG[:40], b"0", b"1", b"7", b"cat", b'{"label": 1}', b"[" * 5000, b""])
    | st.binary(max_size=30),
    st.sampled_from(
        [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE]
    ),
).map(lambda m: (f"{m[0]}.{m[1]}", m[2] if m[3] == tarfile.REGTYPE else b"", m[3]))
GOOD = [("a.png", PNG, tarfile.REGTYPE), ("a.cls", b"0", tarfile.REGTYPE), ("b.png", PNG, tarfile.REGTYPE),
        ("b.cls", b"1", tarfile.REGTYPE)]  # fmt: skip


@tried
@given(st.one_of(st.lists(_member, max_size=5).map(lambda m: tar_of(GOOD + m)), damaged(tar_of(GOOD))))
def test_webdataset_tars(names: Path, content: bytes) -> None:
    (names / "shard.tar").write_bytes(content)
    survives(lambda: _opened(names / "shard.tar", "webdataset"))


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"image": [{"bytes": PNG, "path": "a"}] * 3, "label": [0, 1, 0]}), out)
    return out.getvalue()


_PARQUET = _parquet()


@tried
@given(damaged(_PARQUET))
@example(_PARQUET.replace(b"image", b"\x80mage"))
def test_parquet_files(names: Path, content: bytes) -> None:
    folder = names / "parquet"
    folder.mkdir(exist_ok=True)
    (folder / "classnames.txt").write_text("cat\ndog\n")
    (folder / "test.parquet").write_bytes(content)
    survives(lambda: _opened(folder, "parquet"))


_cells = st.sampled_from(
    ["a.png", "b.png", "../a.png", "/etc/passwd", "", "0", "1", "-1", "9" * 30, "cat", "test", '"', "\x00", "٣"]
)
_rows = st.lists(st.lists(_cells, max_size=4).map(",".join), max_size=6)


@tried
@given(st.sampled_from(["path,label", "path,label,split", "path,y,place", "label", "path,label,group", ""]), _rows)
@example("path,label,split", ["a.png," + "9" * 30 + ",test"])
@example("path,label,group", ["a.png,0," + "9" * 9, "b.png,1,0"])
def test_csv_tables(names: Path, header: str, rows: list[str]) -> None:
    folder = names / "csv"
    folder.mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(PNG)
    (folder / "classnames.txt").write_text("cat\ndog\n")
    (folder / "table.csv").write_text("\n".join([header, *rows]))
    survives(lambda: _opened(folder / "table.csv", "csv"))


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype == object)
    return out.getvalue()


PIXELS = _npy(np.zeros((3, 4, 4, 3), np.uint8))
LABELS = _npy(np.array([0, 1, 0]))
_odd_arrays = st.sampled_from(
    [_npy(a) for a in (np.zeros(3), np.array([0, 5, 1]), np.array([[0]]), np.array(["a"]), np.array([None]))]
)


@tried
@given(damaged(PIXELS) | st.just(PIXELS), damaged(LABELS) | _odd_arrays | st.just(LABELS))
def test_numpy_files(names: Path, pixels: bytes, labels: bytes) -> None:
    folder = names / "npy"
    folder.mkdir(exist_ok=True)
    (folder / "classnames.txt").write_text("cat\ndog\n")
    (folder / "x_data.npy").write_bytes(pixels)
    (folder / "x_labels.npy").write_bytes(labels)
    survives(lambda: _opened(folder, "npy"))


@tried
@given(damaged(PNG))
def test_pictures_in_folders(names: Path, content: bytes) -> None:
    folder = names / "folder"
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / "0.png").write_bytes(PNG)
    (folder / "dog" / "1.png").write_bytes(content)
    survives(lambda: _opened(folder, "folder"))


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, ids=np.array(["a", "b"]), image=np.ones((2, 3), np.float32), class_names=np.array(["cat", "dog"]),
             text=np.ones((2, 3), np.float32), logit_scale=np.array([3.0]))  # fmt: skip
    return out.getvalue()


@tried
@given(damaged(_npz()))
def test_features_computed_elsewhere(names: Path, content: bytes) -> None:
    folder = names / "phone"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for file in (folder / "images" / "test.npz", folder / "text.npz"):
        file.write_bytes(content)
    spec = parse_candidate(f"embeddings:{folder}").spec
    survives(lambda: image_features(spec, "test", np.array(["b", "a"])))
    survives(lambda: text_features(spec, ("dog",)))
