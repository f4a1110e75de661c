"""What --reference and --candidate may say, beside what the zoo and open_clip tests hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reliability.errors import ModelError, UsageError
from reliability.models.sidecar import SIDECAR, read_sidecar
from reliability.models.spec import KINDS, parse_candidate, parse_model


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    folder = tmp_path / "int8"
    folder.mkdir()
    (folder / "visual.onnx").write_bytes(b"vision")
    (folder / "text.onnx").write_bytes(b"text")
    return folder


def test_a_candidate_is_called_after_its_folder_or_as_the_user_says(graphs: Path) -> None:
    assert parse_candidate(f"onnx:{graphs}").name == "int8"
    assert parse_candidate(f"w8a8-mine=onnx:{graphs}").name == "w8a8-mine"
    assert parse_candidate(f"onnx:{graphs / 'visual.onnx'}").name == "visual"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-x", "x[1]", "a@b"])
def test_a_name_that_no_case_can_have_is_refused(graphs: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name is letters"):
        parse_candidate(f"{name}=onnx:{graphs}")


def test_a_candidate_brings_the_towers_whose_files_are_there(graphs: Path) -> None:
    both = parse_candidate(f"onnx:{graphs}")
    assert (both.changes("vision"), both.changes("text")) == (True, True)
    eye = parse_candidate(f"onnx:{graphs / 'visual.onnx'}")
    assert (eye.changes("vision"), eye.changes("text")) == (True, False)
    assert eye.note("ref").endswith("its text features and logit scale come from the reference")
    (graphs / "visual.onnx").unlink()
    ear = parse_candidate(f"onnx:{graphs}")
    assert (ear.changes("vision"), ear.changes("text")) == (False, True)
    assert parse_candidate(f"onnx:{graphs / 'text.onnx'},{graphs / 'text.onnx'}").spec.towers == ("vision", "text")


def test_identity_is_the_content_of_every_file_and_not_its_place(graphs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(graphs, tmp_path / "copy")
    first, copied = (parse_candidate(f"onnx:{folder}").identity for folder in (graphs, tmp_path / "copy"))
    assert first == copied
    assert str(tmp_path) not in json.dumps(first)
    (graphs / "visual.onnx.data").write_bytes(b"weights")
    assert parse_candidate(f"onnx:{graphs}").identity != first
    (tmp_path / "copy" / SIDECAR).write_text('{"schema": 1, "logit_scale": 50}')
    assert parse_candidate(f"onnx:{tmp_path / 'copy'}").identity != first


def test_size_is_that_of_whole_models_only(graphs: Path) -> None:
    assert parse_candidate(f"onnx:{graphs}").stored_bytes == len(b"vision") + len(b"text")
    with pytest.raises(UsageError, match="whole model"):
        _ = parse_candidate(f"onnx:{graphs / 'visual.onnx'}").stored_bytes


@pytest.mark.parametrize("text", ["python:package.module:make", "pt2:visual.pt2"])
def test_strangers_code_can_be_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("visual.pt2").write_bytes(b"")
    assert parse_candidate(text)
    with pytest.raises(UsageError, match="--untrusted refuses"):
        parse_candidate(text, untrusted=True)


def test_every_kind_that_runs_code_says_so() -> None:
    assert {kind for kind, facts in KINDS.items() if facts.runs_code} == {"python", "pt2"}


@pytest.mark.parametrize("kind", ["saved", "onnx", "openvino", "pt2", "embeddings"])
def test_what_lacks_preprocessing_is_no_reference(kind: str, graphs: Path) -> None:
    (graphs / "candidate.json").write_text('{"recipe": {"name": "w8a8-minmax"}, "changes": ["vision"]}')
    (graphs / "images").mkdir()
    for name in ("visual.xml", "visual.pt2", "candidate.safetensors", "images/id.npz"):
        (graphs / name).write_bytes(b"")
    with pytest.raises(UsageError, match="can only be a candidate"):
        parse_model(f"{kind}:{graphs}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("python:module", "a module and a factory"),
        ("python::make", "a module and a factory"),
        ("python:module:not a name", "a module and a factory"),
        ("onnx:a.onnx,b.onnx,c.onnx", "at most two files"),
        ("tflite:model", "unknown kind"),
        ("onnx:", "no model name"),
    ],
)
def test_what_names_no_candidate_is_a_usage_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_candidate(text)
    assert caught.value.where.startswith("--candidate ")


def test_a_checkpoint_belongs_to_open_clip_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="only an open_clip architecture"):
        parse_model(f"hf:{tmp_path}", tmp_path / "config.json")


def test_an_open_clip_candidate_can_be_a_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    candidate = parse_candidate(f"mine=open_clip:ViT-B-32/{tmp_path / 'weights.safetensors'}")
    assert candidate.spec.checkpoint == tmp_path / "weights.safetensors"
    assert parse_candidate("mine=open_clip:ViT-B-32/openai").spec.tag == "openai"


def test_a_saved_float_model_is_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "candidate.json").write_text('{"recipe": {"name": "fp32"}, "changes": []}')
    (tmp_path / "candidate.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="leaves both towers as they are"):
        parse_candidate(f"saved:{tmp_path}")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "logit_scale": -1}', '{"schema": 2, "logit_scale": 1}']
)
def test_a_sidecar_that_gives_no_scale_is_refused(tmp_path: Path, text: str) -> None:
    assert read_sidecar(tmp_path) is None
    (tmp_path / SIDECAR).write_text(text)
    with pytest.raises(ModelError, match="sidecar"):
        read_sidecar(tmp_path)


def test_reading_names_imports_no_runtime(graphs: Path) -> None:
    code = (
        "import sys; from reliability.models.spec import parse_candidate; "
        f"parse_candidate('onnx:{graphs}').identity; parse_candidate('python:a:b'); "
        "print([m for m in ('torch', 'open_clip', 'onnxruntime', 'transformers', 'openvino') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
