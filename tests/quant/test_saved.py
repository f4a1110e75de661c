from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import ModelError
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe
from reliability.quant.saved import load_saved, save, state_digest
from reliability.quant.saved_record import RECORD_FILE, WEIGHTS_FILE, SavedRecord, read_record

METHODS = [
    "w8a8-minmax", "w4a8-dynamic-both", "w4a16_g64_asym-minmax-text", "w4a8-smoothquant+gptq-both", "w4a4-lsq",
    "mxfp4-hadamard", "fp8-minmax-both", "w8a8-minmax+tunescale", "fp32-tunescale",
    "w4a8-mixed+gptq", "w3a16-raana-both", "w8a8-smoothquant-auto",
]  # fmt: skip


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=replace(recipe.qat, steps=2, batch=8)) if recipe.qat else recipe


def bytes_of(value: Tensor) -> bytes:
    return value.contiguous().numpy().tobytes()


def record_of(clip: nn.Module, recipe: Recipe, code: str = "code") -> SavedRecord:
    reference = {"model": "zoo:tiny", "identity": {"kind": "zoo"}, "weights": state_digest(clip)}
    return SavedRecord(recipe, reference, {"source": "random"}, {"share": 1.0}, {"torch": torch.__version__}, code)


@pytest.fixture
def saved(vit: nn.Module, small_data: RangeData, tmp_path: Path) -> tuple[Path, nn.Module]:
    recipe = small("w8a8-minmax")
    network = prepare(vit, recipe, small_data)
    save(tmp_path / "mine", network, record_of(vit, recipe), small_data.first(1))
    return tmp_path / "mine", network


@pytest.mark.parametrize("name", METHODS)
def test_a_candidate_comes_back_bit_for_bit(vit: nn.Module, small_data: RangeData, tmp_path: Path, name: str) -> None:
    recipe = small(name)
    network = prepare(vit, recipe, small_data)
    save(tmp_path / "mine", network, record_of(vit, recipe), small_data.first(1))
    found = load_saved(tmp_path / "mine", vit, "code")
    assert found.record.recipe == recipe
    expected, got = network.state_dict(), found.network.state_dict()
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert bytes_of(value) == bytes_of(got[key]), key
    with torch.no_grad():
        assert torch.equal(network.encode_image(small_data.images), found.network.encode_image(small_data.images))
        assert torch.equal(network.encode_text(small_data.tokens), found.network.encode_text(small_data.tokens))
    assert not found.network.training


def test_the_record_remembers_settings_that_no_name_says(vit: nn.Module, tmp_path: Path) -> None:
    recipe = replace(small("w4a4-lsq-s3"), qat=QatSettings(steps=7, loss="mse+contrastive"), range_images=17)
    replace(record_of(vit, recipe), weights="abc").write(tmp_path)
    found = read_record(tmp_path)
    assert found.recipe == recipe
    assert json.loads((tmp_path / RECORD_FILE).read_text())["changes"] == ["vision"]


def test_integers_take_up_their_width_on_disk(vit: nn.Module, small_data: RangeData, tmp_path: Path) -> None:
    sizes = []
    for name in ("w8a16-minmax-both", "w4a16-minmax-both"):
        recipe = small(name)
        save(tmp_path / name, prepare(vit, recipe, small_data), record_of(vit, recipe), small_data.first(1))
        sizes.append((tmp_path / name / WEIGHTS_FILE).stat().st_size)
    weights = sum(layer.weight.numel() for layer in prepare(vit, small("w8a16-minmax-both"), small_data).modules()
                  if hasattr(layer, "weight_scale"))  # fmt: skip
    # File headers are padded to eight bytes.
    assert abs(sizes[0] - sizes[1] - weights / 2) < 64


def test_another_reference_is_refused(saved: tuple[Path, nn.Module], vit: nn.Module) -> None:
    import copy

    other = copy.deepcopy(vit)
    with torch.no_grad():
        other.visual.proj[0, 0] += 1e-6
    with pytest.raises(ModelError, match="the reference has other weights") as caught:
        load_saved(saved[0], other, "code")
    assert "--reference zoo:tiny" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_file_is_refused(saved: tuple[Path, nn.Module], vit: nn.Module, keep: int) -> None:
    path = saved[0] / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="missing, truncated or damaged"):
        load_saved(saved[0], vit, "code")


def test_a_flipped_bit_is_refused(saved: tuple[Path, nn.Module], vit: nn.Module) -> None:
    path = saved[0] / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not those that the record speaks of"):
        load_saved(saved[0], vit, "code")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "changes": []}'])
def test_a_damaged_record_is_refused(saved: tuple[Path, nn.Module], vit: nn.Module, content: str) -> None:
    (saved[0] / RECORD_FILE).write_text(content)
    with pytest.raises(ModelError, match="record"):
        load_saved(saved[0], vit, "code")


def test_other_code_is_accepted_only_if_it_computes_the_same(
    saved: tuple[Path, nn.Module], vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_saved(saved[0], vit, "newer code").record.code == "code"
    from reliability.quant.quantizers import StaticQuantizer

    forward = StaticQuantizer.forward
    monkeypatch.setattr(StaticQuantizer, "forward", lambda self, x: forward(self, x * 1.001))
    with pytest.raises(ModelError, match="saved by other code, which computed something else"):
        load_saved(saved[0], vit, "newer code")


def test_a_changed_structure_is_refused(
    saved: tuple[Path, nn.Module], vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reliability.quant.saved as module

    skeleton: Any = module.skeleton

    def renamed(*arguments: Any) -> nn.Module:
        model: nn.Module = skeleton(*arguments)
        model.extra = nn.Linear(2, 2)
        return model

    monkeypatch.setattr(module, "skeleton", renamed)
    with pytest.raises(ModelError, match="other code"):
        load_saved(saved[0], vit, "newer code")


def test_an_existing_candidate_is_never_written_over(
    saved: tuple[Path, nn.Module], vit: nn.Module, small_data: RangeData
) -> None:
    before = (saved[0] / WEIGHTS_FILE).read_bytes()
    with pytest.raises(ModelError, match="holds a saved candidate already"):
        save(saved[0], vit, record_of(vit, small("w8a8-minmax")), small_data.first(1))
    assert (saved[0] / WEIGHTS_FILE).read_bytes() == before
