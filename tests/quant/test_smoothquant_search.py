from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError, UsageError
from reliability.quant.affine import fake_quantize
from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import integer_format
from reliability.quant.methods import smoothing_search
from reliability.quant.methods.folds import find_folds
from reliability.quant.methods.smoothing_search import STRENGTHS, smooth
from reliability.quant.methods.smoothquant import smoothing_scale
from reliability.quant.methods.workbench import Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.recipe_file import load_recipes
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.towers import encode

# Two blocks with two LayerNorms and one layer of values each, and the last LayerNorm.
FOLDS = 2 * 3 + 1


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def bench_for(clip: nn.Module, data: RangeData, name: str) -> Workbench:
    explicit = split_attention(copy.deepcopy(clip)).requires_grad_(False)
    return Workbench(copy.deepcopy(explicit), explicit, small(name), data, lambda _: None)


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> Tensor:
    return encode(clip, "vision", data.images)


def with_outliers(vit: nn.Module) -> nn.Module:
    """A model whose normalised channels are uneven, as those of trained transformers are."""
    clip: Any = copy.deepcopy(vit)
    with torch.no_grad():
        for block in clip.visual.transformer.resblocks:
            block.ln_1.weight[3] *= 30
            block.ln_2.weight[5] *= 30
            block.attn.in_proj_weight[:, 3] /= 30
            block.mlp.c_fc.weight[:, 5] /= 30
    return clip  # type: ignore[no-any-return]


def test_folds_are_those_of_smoothquant_and_attention_values(vit: nn.Module) -> None:
    clip: Any = split_attention(copy.deepcopy(vit))
    for tower in ("vision", "text"):
        assert len(find_folds(clip, tower)) == FOLDS  # type: ignore[arg-type]
    sources = {id(fold.source): fold.readers for fold in find_folds(clip, "vision")}
    block = clip.visual.transformer.resblocks[0]
    assert sources[id(block.attn.v_proj)] == ("visual.transformer.resblocks.0.attn.out_proj",)
    assert id(block.mlp.c_fc) not in sources
    assert id(block.attn.q_proj) not in sources


@pytest.mark.parametrize("name", ["w8a8-smoothquant-auto-both", "w4a4-smoothquant+dynamic-auto-both"])
def test_smoothing_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, name: str) -> None:
    bench = bench_for(with_outliers(vit), small_data, name)
    smooth(bench)
    check_parity(bench.reference, bench.model, small_data.images, small_data.tokens)
    value = "visual.transformer.resblocks.0.attn.v_proj.weight"
    assert not torch.equal(bench.model.get_parameter(value), bench.reference.get_parameter(value))


def test_the_error_of_every_trial_is_that_of_the_quantized_product(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w4a4-smoothquant-auto")
    fold = find_folds(bench.model, "vision")[0]
    search = smoothing_search._Search(bench.model, bench.recipe, fold)
    x = torch.randn(3, 7, 32, generator=torch.Generator().manual_seed(0)) * torch.logspace(-1, 1, 32)
    weights = [bench.model.get_parameter(f"{name}.weight").detach() for name in fold.readers]
    trials = search.trials(x.flatten(0, -2))
    assert [trial.strength for trial in trials] == [None, *STRENGTHS]
    form = integer_format(4)
    rows = x.flatten(0, -2)
    for trial in (trials[0], trials[6]):
        if trial.strength is not None:
            largest = torch.stack(weights).abs().amax(dim=(0, 1))
            expected = smoothing_scale(rows.abs().amax(dim=0), largest, trial.strength)
            torch.testing.assert_close(trial.scales, expected)
        smoothed = rows / trial.scales
        scale = (smoothed.max().clamp(min=0) - smoothed.min().clamp(max=0)) / 15
        zero = (-smoothed.min().clamp(max=0) / scale).round()
        made = fake_quantize(
            smoothed, scale, zero, smoothing_search.ACTIVATIONS["static"](bench.recipe, nn.Identity()).grid
        )  # type: ignore[arg-type]
        scaled = [weight * trial.scales for weight in weights]
        error = sum(
            float((made @ form.snap(w, form.scales(w)).T - rows @ original.T).square().sum())
            for w, original in zip(scaled, weights, strict=True)
        )
        assert trial.error == pytest.approx(error, rel=1e-3)
    search.update(x)
    assert search.best.error == min(trial.error for trial in trials)
    assert search.best.error < 0.5 * trials[0].error


def test_every_fold_is_at_least_as_good_as_without_smoothing_and_as_any_one_strength(
    vit: nn.Module, small_data: RangeData
) -> None:
    wanted, clip = embeddings(with_outliers(vit), small_data), with_outliers(vit)
    errors = {
        name: float((embeddings(prepare(clip, small(name), small_data), small_data) - wanted).norm())
        for name in ("w6a6-minmax", "w6a6-smoothquant", "w6a6-smoothquant-a1.0", "w6a6-smoothquant-auto")
    }
    assert errors["w6a6-smoothquant-auto"] < min(errors["w6a6-minmax"], errors["w6a6-smoothquant-a1.0"])
    assert errors["w6a6-smoothquant-auto"] < 1.05 * errors["w6a6-smoothquant"]


def test_a_fold_that_nothing_helps_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    # A strength that moves everything the wrong way loses against none.
    monkeypatch.setattr(smoothing_search, "smoothing_scale", lambda activation, *_: 1 / (activation + 1e-3) ** 4)
    bench, lines = bench_for(vit, small_data, "w4a4-smoothquant-auto"), []
    smooth(replace(bench, report=lines.append))
    assert lines == [f"w4a4-smoothquant-auto: 0 of {FOLDS} folds smoothed"]
    for name, value in bench.model.state_dict().items():
        assert torch.equal(value, bench.reference.state_dict()[name]), name


@pytest.mark.parametrize(
    "name", ["w8a8-smoothquant-auto-both", "mxfp4-smoothquant-auto", "w4a8-smoothquant+percentile+gptq-auto"]
)
def test_it_is_repeatable_complete_and_restored_bit_for_bit(vit: nn.Module, small_data: RangeData, name: str) -> None:
    recipe = small(name)
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        assert torch.equal(embeddings(first, small_data), embeddings(model, small_data))
    assert coverage(first, small_data.images[:1], small_data.tokens[:1], recipe.towers).complete


def test_a_tower_without_folds_is_refused(resnet: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match=r"LayerNorms[\s\S]*vision tower[\s\S]*minmax, percentile"):
        smooth(bench_for(resnet, small_data, "w8a8-smoothquant-auto"))


def test_the_strength_is_part_of_the_name_and_of_recipe_files(tmp_path: Path) -> None:
    assert parse_recipe("w8a8-smoothquant-auto-both-s2").alpha == "auto"
    assert parse_recipe("w8a8-smoothquant-auto").identity != parse_recipe("w8a8-smoothquant").identity
    path = tmp_path / "recipes.toml"
    path.write_text('[[recipe]]\nname = "mine"\nbase = "w8a8-smoothquant"\nalpha = "auto"\n')
    assert load_recipes(path)["mine"].identity == parse_recipe("w8a8-smoothquant-auto").identity
    for name in ("w8a8-minmax-auto", "w8a8-smoothquant-a0.5-auto", "w8a8-smoothquant-aauto"):
        with pytest.raises(UsageError):
            parse_recipe(name)
