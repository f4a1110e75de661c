"""Candidates of the user's own, run beside a reference."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.errors import DataError, ModelError, ReliabilityError, UsageError
from reliability.evaluate.engine import Engine
from reliability.evaluate.saving import save_candidate
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec, parse_candidate
from reliability.quant.recipe import FP32, parse_recipe

W8 = replace(parse_recipe("w8a8-minmax-both"), range_images=16)


@pytest.fixture
def engine(tmp_path: Path, data: DataSet) -> Engine:
    return Engine(Cache(tmp_path / "cache"), data)


def rows(engine: Engine, tiny: ModelSpec, text: str, task: str = "id") -> tuple[np.ndarray, np.ndarray]:
    """Image and text features of a candidate."""
    part = engine.pair(tiny, parse_candidate(text), engine.data.task(task)).candidate.part
    return part.image, part.text


@pytest.fixture
def simulated(engine: Engine, tiny: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    part = engine.pair(tiny, W8, engine.data.task("id")).candidate.part
    return part.image, part.text


def test_a_saved_candidate_is_the_recipe_it_was_made_by(
    engine: Engine, tiny: ModelSpec, simulated: Any, tmp_path: Path
) -> None:
    save_candidate(engine, tiny, W8, tmp_path / "saved")
    assert parse_candidate(f"saved:{tmp_path / 'saved'}").name == "w8a8-minmax-both"
    image, text = rows(engine, tiny, f"mine=saved:{tmp_path / 'saved'}")
    assert np.array_equal(image, simulated[0])
    assert np.array_equal(text, simulated[1])


def test_a_tower_that_a_saved_candidate_leaves_alone_is_the_references(
    engine: Engine, tiny: ModelSpec, tmp_path: Path
) -> None:
    save_candidate(engine, tiny, replace(W8, towers="vision"), tmp_path / "saved")
    candidate = parse_candidate(f"mine=saved:{tmp_path / 'saved'}")
    assert (candidate.changes("vision"), candidate.changes("text")) == (True, False)
    pair = engine.pair(tiny, candidate, engine.data.task("id"))
    assert np.array_equal(pair.reference.part.text, pair.candidate.part.text)
    assert "text features and logit scale come from the reference" in candidate.note("tiny")


def export(engine: Engine, tiny: ModelSpec, folder: Path, *towers: str) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from reliability.evaluate.exporting import export_candidate

    export_candidate(engine, tiny, W8, folder, towers or ("vision", "text"))  # type: ignore[arg-type]
    return folder


def assert_alike(got: np.ndarray, expected: np.ndarray) -> None:
    """Pixels lie half-way between two codes here (mean 0.5), and some go the other way in another runtime."""
    cosines = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9995


def test_graphs_are_run_by_onnx_runtime(engine: Engine, tiny: ModelSpec, simulated: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = export(engine, tiny, tmp_path / "graphs")
    image, text = rows(engine, tiny, f"onnx:{folder}")
    assert_alike(image, simulated[0])
    assert_alike(text, simulated[1])
    sidecar = json.loads((folder / "clip.json").read_text())
    (folder / "clip.json").write_text(json.dumps(sidecar | {"logit_scale": 7.0}))
    another = Engine(engine.cache, engine.data)
    part = another.pair(tiny, parse_candidate(f"onnx:{folder}"), engine.data.task("id")).candidate.part
    assert part.logit_scale == pytest.approx(7.0)
    # The vision tower alone takes its texts from the reference.
    candidate = parse_candidate(f"eye=onnx:{folder / 'visual.onnx'}")
    pair = engine.pair(tiny, candidate, engine.data.task("id"))
    assert np.array_equal(pair.candidate.part.image, image)
    assert np.array_equal(pair.candidate.part.text, pair.reference.part.text)
    assert pair.candidate.part.logit_scale == pair.reference.part.logit_scale


@pytest.mark.parametrize("fixed", [True, False])
def test_graphs_are_run_by_openvino(engine: Engine, tiny: ModelSpec, tmp_path: Path, fixed: bool) -> None:
    openvino = pytest.importorskip("openvino")
    import torch

    visual = engine.loaded().reference(tiny).clip.visual
    shapes = None if fixed else ({0: torch.export.Dim("batch")},)
    program = torch.export.export(visual, (torch.randn(5, 3, 32, 32),), dynamic_shapes=shapes)
    graph = openvino.convert_model(program)
    graph.reshape([5 if fixed else -1, 3, 32, 32])
    openvino.save_model(graph, tmp_path / "visual.xml", compress_to_fp16=False)
    image, _ = rows(engine, tiny, f"openvino:{tmp_path}")
    reference = engine.pair(tiny, FP32, engine.data.task("id")).reference.part.image
    # A processor with bfloat16 is given it by default.
    assert np.abs(image - reference).max() < 0.02 * np.abs(reference).max()


@pytest.mark.parametrize("fixed", [True, False])
def test_exported_programs_are_run_whatever_their_batch_size(
    engine: Engine, tiny: ModelSpec, tmp_path: Path, fixed: bool
) -> None:
    import torch

    clip = engine.loaded().reference(tiny).clip
    shapes = None if fixed else ({0: torch.export.Dim("batch")},)

    class Halved(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = clip.visual

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.visual(pictures) * 0.5

    program = torch.export.export(Halved().eval(), (torch.randn(5, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "visual.pt2")
    image, _ = rows(engine, tiny, f"mine=pt2:{tmp_path / 'visual.pt2'}")
    reference = engine.pair(tiny, FP32, engine.data.task("id")).reference.part.image
    assert np.allclose(image, reference * 0.5, atol=1e-5)


def test_a_transformers_folder_brings_both_encoders(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = engine.loaded().reference(tiny).tokenizer.vocab_size
    config = transformers.CLIPConfig(
        text_config=sizes | {"vocab_size": words, "max_position_embeddings": 9, "eos_token_id": words - 1},
        vision_config=sizes | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path / "hf")
    part = engine.pair(tiny, parse_candidate(f"hf:{tmp_path / 'hf'}"), engine.data.task("id")).candidate.part
    loaded = engine.loaded().reference(tiny)
    with torch.no_grad():
        pictures = loaded.to_input(engine.data.sources["pictures"].images)
        expected = model.visual_projection(model.vision_model(pictures).pooler_output).numpy()
    assert np.allclose(part.image, expected, atol=1e-5)
    assert part.logit_scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)
    assert part.text.shape == (4, 16)
    # A processor that resizes otherwise shows another picture.
    squares = {"height": 64, "width": 64}
    transformers.CLIPImageProcessor(size=squares, crop_size=squares).save_pretrained(tmp_path / "hf")
    with pytest.raises(ModelError, match="preprocessing is not the reference's"):
        rows(engine, tiny, f"other=hf:{tmp_path / 'hf'}")


FACTORY = """
import torch
class Model:
    identity = "scaled-{factor}"
    logit_scale = 2.0
    def encode_image(self, pictures):
        return torch.nn.functional.adaptive_avg_pool2d(pictures, (4, 4)).flatten(1)[:, :{width}] * {factor}
    encode_text = None
def make():
    return Model()
"""


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``factory(name)`` writes a module and names the model in it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, factor: float = 1.0, width: int = 16, text: str = FACTORY) -> str:
        (tmp_path / f"{name}.py").write_text(text.replace("{factor}", str(factor)).replace("{width}", str(width)))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return f"mine=python:{name}:make"

    return write


def test_an_object_of_the_users_own_is_asked_for_pictures_alone_if_that_is_all_it_has(
    engine: Engine, tiny: ModelSpec, factory: Callable[..., str]
) -> None:
    pair = engine.pair(tiny, parse_candidate(factory("own_one")), engine.data.task("id"))
    assert pair.candidate.part.image.shape == (24, 16)
    assert np.array_equal(pair.candidate.part.text, pair.reference.part.text)
    assert pair.candidate.part.logit_scale == pair.reference.part.logit_scale


def test_another_identity_is_another_cache_entry(engine: Engine, tiny: ModelSpec, factory: Callable[..., str]) -> None:
    first = rows(engine, tiny, factory("own_first", 1.0))[0]
    second = rows(engine, tiny, factory("own_second", 2.0))[0]
    assert np.allclose(second, 2 * first)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(): return object()", "neither encode_image nor encode_text"),
        ("class M:\n    encode_image = print\nmake = M", "no identity"),
        ("def make(): raise RuntimeError('no weights')", "cannot be imported or called"),
        ("import nothing_of_this_name", "cannot be imported or called"),
        (FACTORY.replace("[:, :{width}]", "[0]"), "one feature vector per row"),
        (FACTORY.replace("pictures, (4", "pictures[:, :, :, :, 0], (4"), "image encoder failed on a batch"),
    ],
)
def test_what_is_wrong_with_an_object_is_said(
    engine: Engine, tiny: ModelSpec, factory: Callable[..., str], text: str, message: str
) -> None:
    import hashlib

    name = "own_" + hashlib.sha256(text.encode()).hexdigest()[:8]
    with pytest.raises(ModelError, match=message):
        rows(engine, tiny, factory(name, text=text))


def test_another_dimension_is_refused(engine: Engine, tiny: ModelSpec, factory: Callable[..., str]) -> None:
    with pytest.raises(ModelError, match="another dimension") as caught:
        rows(engine, tiny, factory("own_narrow", width=12))
    assert "pictures 12, texts 16; the reference 16" in str(caught.value)


def test_other_preprocessing_is_refused(engine: Engine, tiny: ModelSpec, factory: Callable[..., str]) -> None:
    text = FACTORY + "    \n"
    shifted = text.replace("    encode_text = None", "    encode_text = None\n    def preprocess(self, picture):\n"
                           "        import numpy as np\n        small = picture.resize((32, 32))\n"
                           "        return torch.tensor(np.array(small)).permute(2, 0, 1) / 255.0")  # fmt: skip
    with pytest.raises(ModelError, match="preprocessing is not the reference's"):
        rows(engine, tiny, factory("own_preprocess", text=shifted))


def test_a_candidate_that_is_the_reference_is_a_mistake(engine: Engine, tiny: ModelSpec) -> None:
    with pytest.raises(ModelError, match="equal the reference's in every bit"):
        rows(engine, tiny, "same=zoo:tiny")


def write_features(folder: Path, engine: Engine, tiny: ModelSpec, kind: str = "npz") -> Path:
    """The reference's own features, changed a little, in another order and with a picture too many."""
    from safetensors.numpy import save_file

    part = engine.pair(tiny, FP32, engine.data.task("id")).reference.part
    order = np.random.default_rng(0).permutation(len(part.ids))
    ids = [*part.ids[order].tolist(), "a picture of no interest"]
    image = np.concatenate([part.image[order] + 1e-3, part.image[:1]])
    (folder / "images").mkdir(parents=True)
    if kind == "npz":
        np.savez(folder / "images" / "pictures.npz", ids=np.array(ids), image=image.astype(np.float16))
    else:
        names = np.frombuffer(json.dumps(ids).encode(), np.uint8)
        save_file({"ids": names, "image": image}, folder / "images" / "pictures.safetensors")
    return folder


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_features_computed_elsewhere_are_matched_by_id(
    engine: Engine, tiny: ModelSpec, tmp_path: Path, kind: str
) -> None:
    folder = write_features(tmp_path / "phone", engine, tiny, kind)
    pair = engine.pair(tiny, parse_candidate(f"embeddings:{folder}"), engine.data.task("shift/two"))
    assert np.allclose(pair.candidate.part.image, pair.reference.part.image + 1e-3, atol=5e-3)
    assert np.array_equal(pair.candidate.part.ids, pair.reference.part.ids)
    assert np.array_equal(pair.candidate.part.text, pair.reference.part.text)


def test_texts_computed_elsewhere_are_matched_by_class_name(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    folder = write_features(tmp_path / "phone", engine, tiny)
    part = engine.pair(tiny, FP32, engine.data.task("id")).reference.part
    names = np.array(engine.data.task("id").prompts.class_names)
    np.savez(folder / "text.npz", class_names=names[::-1], text=3 * part.text[::-1] + 1e-3, logit_scale=np.array(11.0))
    found = engine.pair(tiny, parse_candidate(f"embeddings:{folder}"), engine.data.task("id")).candidate.part
    assert np.allclose(found.text, part.text, atol=5e-3)
    assert np.allclose(np.linalg.norm(found.text, axis=1), 1)
    assert found.logit_scale == 11.0
    np.savez(folder / "text.npz", class_names=names[1:], text=part.text[1:])
    with pytest.raises(DataError, match="classes of the task have no features") as caught:
        engine.pair(tiny, parse_candidate(f"embeddings:{folder}"), engine.data.task("id"))
    assert "1 of 4 classes, such as red star" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": ["x"], "image": [[1.0] * 16]}, "24 of 24, such as pictures/bild-ü-00"),
        ({"ids": ["x", "x"], "image": [[1.0] * 16] * 2}, "there twice"),
        ({"ids": ["x"], "image": [[1.0] * 16] * 2}, "1 ids, 2 rows"),
        ({"ids": ["x"], "image": [[np.nan] * 16]}, "finite float matrix"),
        ({"ids": ["x"], "image": [1.0]}, "finite float matrix"),
        ({"image": [[1.0]]}, "no array 'ids'"),
        ({"ids": [3], "image": [[1.0]]}, "ids must be strings"),
        ({"ids": np.array(["x", {}], dtype=object), "image": [[1.0]]}, "cannot be read"),
    ],
)
def test_features_that_do_not_fit_are_refused(
    engine: Engine, tiny: ModelSpec, tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    (tmp_path / "phone" / "images").mkdir(parents=True)
    np.savez(tmp_path / "phone" / "images" / "pictures.npz", **{name: np.array(v) for name, v in arrays.items()})
    with pytest.raises(DataError) as caught:
        engine.pair(tiny, parse_candidate(f"embeddings:{tmp_path / 'phone'}"), engine.data.task("id"))
    assert message in str(caught.value)


def test_a_damaged_graph_is_said_to_be_damaged(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for kind, name, message in (
        ("onnx", "visual.onnx", "ONNX Runtime cannot open this graph"),
        ("pt2", "visual.pt2", "torch cannot load this exported program"),
    ):
        (tmp_path / name).write_bytes(b"no graph")
        with pytest.raises(ModelError, match=message):
            rows(engine, tiny, f"mine={kind}:{tmp_path / name}")


def test_what_cannot_be_measured_from_outside_is_refused(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    folder = write_features(tmp_path / "phone", engine, tiny)
    candidate = parse_candidate(f"embeddings:{folder}")
    for measure in (lambda: engine.proof(tiny, candidate), lambda: engine.loaded().times(tiny, FP32, candidate),
                    lambda: candidate.stored_bytes):  # fmt: skip
        with pytest.raises(UsageError):
            measure()


def test_a_candidate_that_is_not_there_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for kind in ("saved", "onnx", "openvino", "pt2", "hf", "embeddings"):
        with pytest.raises(ReliabilityError, match=r"where"):
            parse_candidate(f"mine={kind}:{tmp_path / 'empty'}")
        with pytest.raises(ReliabilityError, match=r"no such"):
            parse_candidate(f"mine={kind}:{tmp_path / 'absent'}")
