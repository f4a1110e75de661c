from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from reliability.errors import ModelError
from reliability.models.openclip import load_model, read_state
from reliability.models.spec import ModelSpec, parse_model

pytestmark = pytest.mark.usefixtures("tiny_clip")

ARCHITECTURE = "tiny-for-tests"
State = dict[str, torch.Tensor]
SMALL: State = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}


def assert_same(got: State, expected: State) -> None:
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], value) for name, value in expected.items())


@pytest.fixture
def state(tiny_clip: Any) -> State:
    return dict(tiny_clip.state_dict())


@pytest.fixture
def load(tmp_path: Path) -> Callable[[State], Any]:
    """Load weights into the tiny architecture, by way of a file."""

    def load_state(state: State) -> Any:
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
        return load_model(parse_model(f"open_clip:{ARCHITECTURE}", path))

    return load_state


@pytest.mark.parametrize(
    "stored",
    [
        SMALL,
        {"state_dict": SMALL, "epoch": 3, "name": "run"},
        {"state_dict": {f"module.{name}": value for name, value in SMALL.items()}},
        {f"module.{name}": value for name, value in SMALL.items()},
    ],
    ids=["plain", "state_dict", "state_dict of a parallel model", "parallel model"],
)
def test_torch_files_of_every_usual_form_are_read(tmp_path: Path, stored: Any) -> None:
    torch.save(stored, tmp_path / "weights.pt")
    assert_same(read_state(tmp_path / "weights.pt"), SMALL)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(SMALL, tmp_path / "weights.safetensors")
    assert_same(read_state(tmp_path / "weights.safetensors"), SMALL)


def torch_file(path: Path) -> bytes:
    torch.save(SMALL, path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.safetensors", lambda _: b"this is no checkpoint at all"),
        ("w.safetensors", lambda _: b""),
        ("w.safetensors", lambda _: save(SMALL)[:-5]),
        ("w.safetensors", lambda _: save(SMALL)[:20]),
        ("w.safetensors", torch_file),
        ("w.pt", lambda _: b"this is no checkpoint at all"),
        ("w.pt", lambda _: b""),
        ("w.pt", lambda path: torch_file(path)[:-200]),
        ("w.pt", lambda path: torch_file(path)[:40]),
        ("w.pt", lambda _: save(SMALL)),
    ],
)
def test_a_damaged_checkpoint_is_an_error_that_names_the_file(
    tmp_path: Path, name: str, content: Callable[[Path], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(content(path))
    with pytest.raises(ModelError, match=r"(?s)cannot be read.*fetch it again") as caught:
        read_state(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("name", ["gone.pt", "gone.safetensors"])
def test_a_checkpoint_that_vanished_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="FileNotFoundError"):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    "stored", [torch.zeros(3), [torch.zeros(3)], {0: torch.zeros(3)}], ids=["tensor", "list", "keys"]
)
def test_a_torch_file_of_something_else_is_an_error(tmp_path: Path, stored: Any) -> None:
    torch.save(stored, tmp_path / "weights.pt")
    with pytest.raises(ModelError):
        read_state(tmp_path / "weights.pt")


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin", "weights.safetensors"])
@pytest.mark.parametrize(
    "write",
    [torch.save, lambda stored, path: path.write_bytes(pickle.dumps(stored, protocol=2))],
    ids=["torch", "plain pickle"],
)
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, name: str, write: Callable[[Any, Path], None]) -> None:
    payload, path = Payload(tmp_path / "the payload ran"), tmp_path / name
    write({"a.weight": torch.zeros(2), "extra": payload}, path)
    with pytest.raises(ModelError, match="only safetensors, and torch files of plain tensors, are read"):
        read_state(path)
    assert not payload.folder.exists()
    # The payload is a live one: plain unpickling runs it.
    pickle.loads(pickle.dumps(payload))
    assert payload.folder.exists()


def test_loaded_weights_are_the_files_ready_to_run(tiny_clip: Any, load: Callable[[State], Any], state: State) -> None:
    model = load({name: value.half() for name, value in state.items()})
    assert not model.clip.training
    for name, value in model.clip.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[name].half().float())
    pictures = [np.full((40, 30, 3), shade, np.uint8) for shade in (0, 120)]
    batch = model.to_input([*pictures, np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)])
    assert (batch.shape, batch.dtype) == ((3, 3, 16, 16), torch.float32)
    tokens = model.tokenizer(["a photo of a dog", "cats"])
    assert tokens.shape == (2, 8)
    with torch.no_grad():
        torch.testing.assert_close(model.clip.encode_image(batch), tiny_clip.encode_image(batch), rtol=0, atol=0.02)
        torch.testing.assert_close(model.clip.encode_text(tokens), tiny_clip.encode_text(tokens), rtol=0, atol=0.02)


def red_channels(model: Any) -> torch.Tensor:
    """Mean of each channel of a plain red picture, as the model sees it."""
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    return model.to_input([red])[0].mean(dim=(1, 2))


def test_preprocessing_of_an_rgb_array_is_that_of_the_picture(load: Callable[[State], Any], state: State) -> None:
    model = load(state)
    # OpenAI's mean and deviation of each channel, which open_clip uses unless told otherwise.
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    torch.testing.assert_close(red_channels(model), (torch.tensor([1.0, 0.0, 0.0]) - mean) / std)


def test_a_tag_beside_a_checkpoint_brings_its_preprocessing(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from open_clip import pretrained

    published = {"published": {"hf_hub": "nobody/nothing/", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}
    monkeypatch.setitem(pretrained._PRETRAINED, ARCHITECTURE, published)
    save_file(state, tmp_path / "fetched.safetensors")
    model = load_model(parse_model(f"open_clip:{ARCHITECTURE}/published", tmp_path / "fetched.safetensors"))
    torch.testing.assert_close(red_channels(model), torch.tensor([1.0, -1.0, -1.0]))


def test_a_mask_that_open_clip_rebuilds_may_be_absent(load: Callable[[State], Any], state: State) -> None:
    state.pop("attn_mask", None)
    assert load(state).clip is not None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state | {"visual.proj": torch.zeros(16, 9)}, "visual.proj"),
        (lambda state: {name: value for name, value in state.items() if name != "visual.proj"}, "visual.proj"),
        (lambda state: {f"clip.{name}": value for name, value in state.items()}, "logit_scale"),
        (lambda state: state | {"head.bias": torch.zeros(3)}, "head.bias"),
        (lambda _: {}, "missing"),
    ],
    ids=["another shape", "one missing", "other names", "one too many", "nothing"],
)
def test_weights_of_another_architecture_are_refused(
    load: Callable[[State], Any], state: State, tmp_path: Path, change: Callable[[State], State], named: str
) -> None:
    with pytest.raises(ModelError, match="do not fit the architecture") as caught:
        load(change(state))
    assert caught.value.where == str(tmp_path / "weights.safetensors")
    assert named in caught.value.got
    assert "architecture" in caught.value.next


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(load: Callable[[State], Any], state: State, value: float) -> None:
    broken = state["visual.proj"].clone()
    broken[2, 1:4] = value
    with pytest.raises(ModelError, match="not finite") as caught:
        load(state | {"visual.proj": broken})
    assert caught.value.where.endswith("tensor visual.proj")
    assert caught.value.got == "3 of 128 values"


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a network nor anything fetched before."""
    from huggingface_hub import constants

    def refuse(*_: object) -> NoReturn:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("architecture", "tag", "source"),
    [
        ("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("RN50-quickgelu", "yfcc15m", "timm/resnet50_clip.yfcc15m"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_error_says_what_to_fetch(architecture: str, tag: str, source: str) -> None:
    with pytest.raises(ModelError, match="published weights could not be fetched") as caught:
        load_model(parse_model(f"open_clip:{architecture}/{tag}"))
    assert caught.value.where == f"open_clip:{architecture}/{tag}"
    assert source in caught.value.next
    assert "--checkpoint FILE" in caught.value.next


def test_weights_of_another_activation_are_refused() -> None:
    with pytest.raises(ModelError, match="open_clip:ViT-B-32-quickgelu/openai"):
        load_model(parse_model("open_clip:ViT-B-32/openai"))


@pytest.mark.usefixtures("no_network")
def test_a_tag_that_the_architecture_does_not_have_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'laion' is no tag of ViT-B-32; known: openai, "):
        load_model(parse_model("open_clip:ViT-B-32/laion"))
    with pytest.raises(ModelError, match=f"'openai' is no tag of {ARCHITECTURE}; known: none"):
        load_model(ModelSpec("open_clip", "x", ARCHITECTURE, "openai"))


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    save_file(SMALL, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"(?s)no such architecture.*ViT-B-33.*list_models"):
        load_model(parse_model("open_clip:ViT-B-33", tmp_path / "weights.safetensors"))
