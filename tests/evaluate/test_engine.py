from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.errors import ModelError, QuantizationError
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, Recipe, parse_recipe
from reliability.types import Part


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=16)


W8 = small("w8a8-minmax")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def engine(cache: Cache, data: DataSet) -> Engine:
    return Engine(cache, data)


def entries(cache: Cache) -> int:
    return len(list(cache.root.rglob("*.bin")))


def test_fp32_is_the_reference_itself(engine: Engine, data: DataSet, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, FP32, data.task("id"))
    reference, candidate = pair.reference.part, pair.candidate.part
    assert np.array_equal(reference.image, candidate.image)
    assert np.array_equal(reference.text, candidate.text)
    assert pair.harm("top1", replicates=20).harm.estimate == 0
    # One entry for the pictures' features, one for the prompts', one for what the pictures were.
    assert entries(engine.cache) == 3
    assert data.sources["pictures"].reads == 1


def test_embeddings_are_those_of_the_models_themselves(engine: Engine, data: DataSet, tiny: ModelSpec) -> None:
    import torch

    from reliability.models.openclip import load_model
    from reliability.quant.prepare import RangeData, prepare

    pair = engine.pair(tiny, W8, data.task("id"))
    model, drawn = load_model(tiny), data.range_setting(16, 0)
    candidate = prepare(model.clip, W8, RangeData(model.to_input(drawn.images), model.tokenizer(drawn.captions)))
    for side, clip in ((pair.reference, model.clip), (pair.candidate, candidate)):
        with torch.inference_mode():
            rows = clip.encode_image(model.to_input(data.sources["pictures"].images)).numpy()
            scale = clip.logit_scale.exp().item()
        assert np.array_equal(side.part.image, rows)
        assert side.part.logit_scale == pytest.approx(scale, rel=1e-6)
        assert side.part.image.dtype == side.part.text.dtype == np.float32
    assert np.abs(pair.reference.part.image - pair.candidate.part.image).max() > 1e-3


def test_tasks_and_recipes_share_what_is_computed(engine: Engine, cache: Cache, data: DataSet, tiny: ModelSpec) -> None:
    recipes = [FP32, W8, small("w4a8-minmax")]
    for recipe in recipes:
        for task in data.tasks.values():
            engine.pair(tiny, recipe, task)
    source = data.sources["pictures"]
    assert source.reads == len(recipes)
    assert data.range_setting.draws == 2
    # Features by recipe, two prepared candidates, two heads that no vision recipe changes, and which pictures
    # were embedded and which ones ranges were set on.
    assert entries(cache) == 3 + 2 + 2 + 2
    Engine(cache, data).pair(tiny, W8, data.task("ood/near"))
    assert (source.reads, entries(cache)) == (3, 9)


@pytest.mark.parametrize(
    ("name", "same_images", "same_text"),
    [("w8a8-minmax", False, True), ("w8a8-minmax-text", True, False), ("w8a8-minmax-both", False, False)],
)
def test_a_tower_that_the_recipe_leaves_alone_is_the_references(
    engine: Engine, data: DataSet, tiny: ModelSpec, name: str, same_images: bool, same_text: bool
) -> None:
    pair = engine.pair(tiny, small(name), data.task("id"))
    assert np.array_equal(pair.reference.part.image, pair.candidate.part.image) == same_images
    assert np.array_equal(pair.reference.part.text, pair.candidate.part.text) == same_text
    assert data.sources["pictures"].reads == (1 if same_images else 2)


def test_a_part_keeps_its_classes_and_numbers_them_as_the_task_does(
    engine: Engine, data: DataSet, tiny: ModelSpec
) -> None:
    everything = engine.pair(tiny, FP32, data.task("id")).reference.part
    source = data.sources["pictures"]
    assert everything.ids.tolist() == source.ids.tolist()
    assert everything.labels.tolist() == source.labels.tolist()
    two = engine.pair(tiny, FP32, data.task("shift/two")).reference.part
    rows = np.flatnonzero(np.isin(source.labels, (3, 1)))
    assert two.ids.tolist() == source.ids[rows].tolist()
    assert two.labels.tolist() == [{3: 0, 1: 1}[label] for label in source.labels[rows].tolist()]
    assert np.array_equal(two.image, everything.image[rows])
    assert np.array_equal(two.groups, everything.groups[rows])
    assert len(two.text) == 2


def test_unfamiliar_pictures_have_no_label(engine: Engine, data: DataSet, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, FP32, data.task("ood/near"))
    for side in (pair.reference, pair.candidate):
        assert set(side.part.labels.tolist()) == {-1}
        assert side.familiar.labels.tolist() == [0, 1] * 6
        assert len(side.part.ids) == 12
        assert not set(side.part.ids) & set(side.familiar.ids)
    assert np.isfinite(pair.harm("auroc", "mcm", replicates=20).reference.estimate)


def test_a_familiar_part_that_keeps_every_label_keeps_its_own_numbers(
    engine: Engine, data: DataSet, tiny: ModelSpec
) -> None:
    known = data.sources["pictures"]
    data.sources["others"] = replace(known, name="others", images=[255 - image for image in known.images])
    task = replace(data.task("ood/near"), part=Part("others"), familiar=Part("pictures"))
    side = engine.pair(tiny, FP32, task).reference
    assert set(side.part.labels.tolist()) == {-1}
    assert side.familiar.labels.tolist() == data.sources["pictures"].labels.tolist()


@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-minmax-text", "w8a8-minmax-both"])
def test_a_quantization_that_changes_nothing_is_refused(
    engine: Engine, data: DataSet, tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from reliability.evaluate.running import candidates

    for function in ("prepare", "skeleton"):
        monkeypatch.setattr(candidates, function, lambda clip, *_: copy.deepcopy(clip))
    with pytest.raises(QuantizationError, match=rf"(?s)every bit.*tiny, recipe {name}, task id.*--recipes fp32"):
        engine.pair(tiny, small(name), data.task("id"))


def test_a_picture_without_a_finite_feature_is_named_and_nothing_is_kept(
    engine: Engine, cache: Cache, data: DataSet, tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from reliability.evaluate.running import candidates

    def to_its_own_maximum(picture: Any) -> torch.Tensor:
        values = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
        return values / values.max()

    load = candidates.load_reference
    monkeypatch.setattr(candidates, "load_reference", lambda spec: replace(load(spec), preprocess=to_its_own_maximum))
    data.sources["pictures"].images[7][:] = 0
    with pytest.raises(ModelError, match=r"(?s)not finite.*pictures, pictures/bild-ü-07\n.*1 of 24 rows"):
        engine.pair(tiny, FP32, data.task("id"))
    assert entries(cache) == 0


WITHOUT_TORCH = """
import json, sys
from pathlib import Path
import numpy as np
cache, zoo_folder, here = sys.argv[1:]
sys.path.insert(0, here)
from conftest import build_data
from reliability.evaluate.storage.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.models import zoo
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from dataclasses import replace
zoo.FOLDER = Path(zoo_folder)
data = build_data()
recipe = replace(parse_recipe("w8a8-minmax"), range_images=16)
pair = Engine(Cache(Path(cache)), data).pair(parse_model("zoo:tiny"), recipe, data.task("ood/near"))
print(json.dumps({
    "ids": pair.candidate.part.ids.tolist(),
    "sum": float(np.abs(pair.candidate.part.image).sum(dtype=np.float64)),
    "reads": data.sources["pictures"].reads + data.range_setting.draws,
    "heavy": sorted({"torch", "torchvision", "open_clip", "timm"} & set(sys.modules)),
}))
"""


def test_a_warm_cache_needs_neither_torch_nor_pictures(
    engine: Engine, cache: Cache, data: DataSet, tiny: ModelSpec, zoo_model: Path
) -> None:
    cold = engine.pair(tiny, W8, data.task("ood/near")).candidate.part
    command = [sys.executable, "-c", WITHOUT_TORCH, str(cache.root), str(zoo_model), str(Path(__file__).parent)]
    warm = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert warm == {
        "ids": cold.ids.tolist(),
        "sum": float(np.abs(cold.image).sum(dtype=np.float64)),
        "reads": 0,
        "heavy": [],
    }


def test_a_reference_that_cannot_be_loaded_is_tried_once(
    engine: Engine, data: DataSet, tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reliability.evaluate.running import candidates

    tried: list[ModelSpec] = []

    def unreachable(spec: ModelSpec) -> None:
        tried.append(spec)
        raise ModelError(where=spec.name, what="the published weights could not be fetched", next="fetch them")

    monkeypatch.setattr(candidates, "load_reference", unreachable)
    for _ in range(3):
        with pytest.raises(ModelError, match="could not be fetched"):
            engine.pair(tiny, FP32, data.task("id"))
    assert tried == [tiny]


@pytest.mark.parametrize("name", ["fp32-tunescale", "w8a8-minmax+tunescale"])
def test_a_refitted_logit_scale_reaches_the_logits_and_nothing_else(
    engine: Engine, data: DataSet, tiny: ModelSpec, name: str
) -> None:
    plain = engine.pair(tiny, FP32 if name.startswith("fp32") else W8, data.task("id")).candidate.part
    pair = engine.pair(tiny, small(name), data.task("id"))
    tuned = pair.candidate.part
    assert tuned.logit_scale != plain.logit_scale == pair.reference.part.logit_scale
    assert np.array_equal(tuned.image, plain.image)
    # Attention taken apart for quantization sums in another order.
    np.testing.assert_allclose(tuned.text, plain.text, atol=1e-6)
