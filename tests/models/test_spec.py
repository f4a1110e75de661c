from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from reliability.errors import ModelError, UsageError
from reliability.models import zoo
from reliability.models.spec import ModelSpec, parse_model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of two models; the contents are no models, since naming one reads no weights."""
    for name in ("scenes-web", "scenes-clean"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"model_cfg": name}))
        (tmp_path / f"{name}.safetensors").write_bytes(b"shared weights")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    return tmp_path


def test_a_zoo_model_is_named_by_its_name(folder: Path) -> None:
    spec = parse_model("zoo:scenes-web")
    assert spec == ModelSpec("zoo", "scenes-web", "scenes-web", checkpoint=folder / "scenes-web.safetensors")
    assert {spec: 1}[parse_model("zoo:scenes-web")] == 1


@pytest.mark.usefixtures("folder")
def test_zoo_names_are_sorted() -> None:
    assert zoo.zoo_names() == ("scenes-clean", "scenes-web")


def test_every_embedded_model_has_weights_and_a_configuration() -> None:
    for name in zoo.zoo_names():
        assert parse_model(f"zoo:{name}").checkpoint.is_file()
        assert {"model_cfg", "preprocess_cfg", "token_ids"} <= zoo.zoo_config(name).keys()


@pytest.mark.parametrize(
    ("text", "with_checkpoint", "name", "architecture", "tag"),
    [
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", False, "ViT-B-32-laion2b_s34b_b79k", "ViT-B-32", "laion2b_s34b_b79k"),
        ("open_clip:ViT-B-32", True, "ViT-B-32-mine", "ViT-B-32", ""),
        ("open_clip:ViT-B-32/openai", True, "ViT-B-32-openai", "ViT-B-32", "openai"),
    ],
)
def test_an_open_clip_model_is_an_architecture_with_a_tag_or_a_checkpoint(
    weights: Path, text: str, with_checkpoint: bool, name: str, architecture: str, tag: str
) -> None:
    checkpoint = weights if with_checkpoint else None
    assert parse_model(text, checkpoint) == ModelSpec("open_clip", name, architecture, tag, checkpoint)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["resnet50", "hub:resnet50", "", ":", "zoo", "zoo:", "open_clip:", "ZOO:scenes-web"])
def test_what_names_no_model_lists_the_kinds(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_model(text)
    message = str(caught.value)
    assert f"where: --reference {text}" in message
    assert "zoo:NAME" in message
    assert "open_clip:ARCH/TAG" in message
    assert "--checkpoint FILE" in message


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "advice"),
    [("scenes-claen", "did you mean zoo:scenes-clean?"), ("xyz", "known: scenes-clean, scenes-web")],
)
def test_an_unknown_zoo_model_names_what_was_perhaps_meant(name: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_model(f"zoo:{name}")
    assert caught.value.where == f"--reference zoo:{name}"
    assert caught.value.what == "no such zoo model"
    assert caught.value.got == repr(name)
    assert advice in caught.value.next


def test_an_empty_zoo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match="known: none"):
        parse_model("zoo:scenes-clean")


@pytest.mark.parametrize("text", ["open_clip:ViT-B-32", "open_clip:ViT-B-32/"])
def test_an_architecture_without_weights_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_model(text)
    assert caught.value.what == "an open_clip model needs weights"
    assert caught.value.next == "write open_clip:ViT-B-32/TAG, or add --checkpoint FILE"


@pytest.mark.parametrize("name", ["absent.pt", ""], ids=["absent", "folder"])
def test_a_checkpoint_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_model("open_clip:ViT-B-32", tmp_path / name)
    assert caught.value.where == f"--checkpoint {tmp_path / name}"
    assert caught.value.what == "no such checkpoint file"
    assert "weights_only" in caught.value.next


@pytest.mark.usefixtures("folder")
def test_a_checkpoint_for_a_zoo_model_is_refused(weights: Path) -> None:
    with pytest.raises(UsageError, match="checkpoint"):
        parse_model("zoo:scenes-web", weights)


def test_identity_is_the_content_of_the_weights_wherever_they_lie(weights: Path, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere.pt"
    copied.write_bytes(weights.read_bytes())
    first, second = (parse_model("open_clip:ViT-B-32", path).identity for path in (weights, copied))
    assert first == second
    assert first["weights"] == hashlib.sha256(b"weights").hexdigest()
    assert json.loads(json.dumps(dict(first))) == first


def test_other_content_of_the_same_size_is_another_identity(weights: Path) -> None:
    spec = parse_model("open_clip:ViT-B-32", weights)
    first = spec.identity
    assert spec.identity == first
    weights.write_bytes(b"WEIGHTS")
    # Some file systems tell times apart by milliseconds only.
    os.utime(weights, ns=(1, 1))
    assert spec.identity["weights"] == hashlib.sha256(b"WEIGHTS").hexdigest() != first["weights"]


def test_the_digest_needs_no_recent_python(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "file_digest", raising=False)
    os.utime(weights, ns=(2, 2))
    identity = parse_model("open_clip:ViT-B-32", weights).identity
    assert identity["weights"] == hashlib.sha256(b"weights").hexdigest()


def test_a_zoo_models_configuration_is_part_of_its_identity(folder: Path) -> None:
    web, clean = (parse_model(f"zoo:{name}").identity for name in ("scenes-web", "scenes-clean"))
    assert web["weights"] == clean["weights"]
    assert web["config"] != clean["config"]
    spec = parse_model("zoo:scenes-web")
    (folder / "scenes-web.json").write_text(json.dumps({"model_cfg": "another"}))
    assert spec.identity["config"] != web["config"]


def test_architecture_and_tag_are_part_of_the_identity() -> None:
    texts = ("open_clip:ViT-B-32/openai", "open_clip:ViT-B-32/laion400m_e32", "open_clip:ViT-B-16/openai")
    identities = [json.dumps(dict(parse_model(text).identity), sort_keys=True) for text in texts]
    assert len(set(identities)) == 3
    # Published weights may change with the library that names them.
    assert all("open_clip_torch" in json.loads(identity) for identity in identities)


@pytest.mark.usefixtures("folder")
def test_the_library_that_runs_a_zoo_model_is_part_of_its_identity() -> None:
    assert "open_clip_torch" in parse_model("zoo:scenes-web").identity
