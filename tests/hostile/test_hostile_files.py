"""Files made to do harm: nothing in them runs, leaves its folder, or fills the memory."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reliability.data.registry import open_data
from reliability.errors import DataError, ModelError, ReliabilityError, UsageError
from reliability.models.spec import parse_candidate, parse_model


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.proof, "ran")


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    return tmp_path / "proof"


def test_the_payload_would_run_where_it_is_unpickled(proof: Path) -> None:
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.read_text() == "ran"


def _torch_file(path: Path, payload: Payload) -> None:
    import torch

    torch.save({"visual.proj": payload}, path)


def _plain_pickle(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps({"visual.proj": payload}))


@pytest.mark.parametrize("write", [_torch_file, _plain_pickle])
@pytest.mark.parametrize("suffix", [".pt", ".bin", ".safetensors"])
def test_a_checkpoint_with_a_payload_is_refused_and_does_not_run(
    tmp_path: Path, proof: Path, write: Callable[[Path, Payload], None], suffix: str
) -> None:
    from reliability.models.openclip import read_state

    file = tmp_path / f"weights{suffix}"
    write(file, Payload(proof))
    with pytest.raises(ModelError, match="cannot be read"):
        read_state(file)
    assert not proof.exists()


def _object_array(payload: Payload) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([payload], dtype=object), allow_pickle=True)
    return out.getvalue()


def test_a_numpy_file_with_a_payload_is_refused_and_does_not_run(tmp_path: Path, proof: Path) -> None:
    (tmp_path / "classnames.txt").write_text("cat\ndog\n")
    for name in ("x_data.npy", "x_labels.npy"):
        (tmp_path / name).write_bytes(_object_array(Payload(proof)))
    data = open_data(f"npy:{tmp_path}")
    with pytest.raises(DataError, match="not a readable NumPy file"):
        next(iter(data.sources["test"].batches(2)))
    assert not proof.exists()


def test_features_with_a_payload_are_refused_and_it_does_not_run(tmp_path: Path, proof: Path) -> None:
    from reliability.models.kinds.embeddings import image_features

    (tmp_path / "images").mkdir()
    np.savez(tmp_path / "images" / "id.npz", ids=np.array(["a"]), image=np.array([Payload(proof)], dtype=object))
    spec = parse_candidate(f"embeddings:{tmp_path}").spec
    with pytest.raises(DataError, match="cannot be read"):
        image_features(spec, "id", np.array(["a"]))
    assert not proof.exists()


@pytest.mark.parametrize("text", ["python:os:getcwd", "pt2:model.pt2"])
def test_models_that_run_code_of_their_own_are_off_where_they_are_not_trusted(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"")
    with pytest.raises(UsageError, match="--untrusted refuses models"):
        parse_candidate(text, untrusted=True)
    if text.startswith("python"):
        with pytest.raises(UsageError, match="--untrusted refuses models"):
            parse_model(text, untrusted=True)


def _png(side: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(out, "PNG")
    return out.getvalue()


def _tar(folder: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    (folder / "classnames.txt").write_text("cat\ndog\n")
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for name, content in (("a.png", _png()), ("a.cls", b"0"), *members):
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = (
                len(content),
                kind if name not in ("a.png", "a.cls") else b"0",
                "/etc/passwd",
            )
            tar.addfile(info, io.BytesIO(content))
    return folder / "shard.tar"


def _read(spec: str) -> None:
    for source in ("test",):
        for batch in open_data(spec).sources[source].batches(2):
            assert batch.images


@pytest.mark.parametrize("name", ["../b.png", "/b.png", "x/../../b.png"])
def test_a_tar_whose_members_lead_out_of_it_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    before = {path for path in tmp_path.parent.rglob("*") if path.is_relative_to(tmp_path)}
    shard = _tar(tmp_path, (name, _png()), (name.replace(".png", ".cls"), b"1"))
    with pytest.raises(DataError, match="leads out of the archive"):
        _read(f"webdataset:{shard}")
    written = {path for path in tmp_path.parent.rglob("*") if path.is_relative_to(tmp_path)} - before
    assert written == {shard, tmp_path / "classnames.txt"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    shard = _tar(tmp_path, ("b.png", b""), kind=kind)
    with pytest.raises(DataError, match="not a plain file"):
        _read(f"webdataset:{shard}")


def test_a_tar_that_declares_absurd_sizes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "classnames.txt").write_text("cat\ndog\n")
    info = tarfile.TarInfo("b.png")
    info.size = 1 << 40
    (tmp_path / "shard.tar").write_bytes(info.tobuf() + b"\0" * 1024)
    with pytest.raises(DataError, match=r"(?s)may hold at most.*nothing was read"):
        _read(f"webdataset:{tmp_path / 'shard.tar'}")


def _png_of(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing, as a bomb does."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + crc

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = zlib.compress(b"\0" * (1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 13_000, 60_000])
def test_a_picture_that_declares_an_absurd_size_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    shard = _tar(tmp_path, ("b.png", _png_of(side, side)), ("b.cls", b"1"))
    with pytest.raises(DataError, match=r"too many pixels|DecompressionBomb"):
        _read(f"webdataset:{shard}")


def test_a_link_out_of_a_data_folder_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(_png())
    for label in ("cat", "dog"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "a.png").write_bytes(_png())
    (tmp_path / "data" / "cat" / "b.png").symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data folder"):
        _read(f"folder:{tmp_path / 'data'}")


@pytest.mark.parametrize("path", ["../outside.png", "/etc/hostname", "a/../../outside.png"])
def test_a_table_whose_paths_lead_out_of_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside.png").write_bytes(_png())
    (tmp_path / "data" / "table.csv").write_text(f"path,label\n{path},0\n")
    (tmp_path / "data" / "classnames.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match="below the table's folder"):
        _read(f"csv:{tmp_path / 'data' / 'table.csv'}")


def test_every_refusal_is_of_our_own_family() -> None:
    assert issubclass(DataError, ReliabilityError)
    assert issubclass(ModelError, ReliabilityError)
