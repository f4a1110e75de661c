from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import UsageError
from reliability.quant.coverage import coverage
from reliability.quant.methods import qdrop, registry
from reliability.quant.methods.reconstruction.dropping import Dropping, mixed
from reliability.quant.methods.reconstruction.learning import ReconstructionSettings
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.quantizers import StaticQuantizer
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.towers import encode

QUICK = ReconstructionSettings(steps=100, batch=12, drop=0.5, step_rate=2e-3)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LAYER_METHODS, "qdrop", partial(qdrop.apply, settings=QUICK))


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def test_a_random_share_of_values_comes_from_the_other_tensor() -> None:
    x, other = torch.zeros(100, 100), torch.ones(100, 100)
    for share, low, high in ((0.0, 0.0, 0.0), (0.5, 0.47, 0.53), (1.0, 1.0, 1.0)):
        got = mixed(x, other, share, torch.Generator().manual_seed(0))
        assert set(got.unique().tolist()) <= {0.0, 1.0}
        assert low <= float(got.mean()) <= high
    again = mixed(x, other, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(again, mixed(x, other, 0.5, torch.Generator().manual_seed(0)))
    assert not torch.equal(again, mixed(x, other, 0.5, torch.Generator().manual_seed(1)))


def test_dropped_values_pass_and_the_step_learns_from_the_others() -> None:
    quantizer = StaticQuantizer(2)
    quantizer.set_range(torch.tensor(0.0), torch.tensor(3.0))
    dropping = Dropping(quantizer, 0.5, torch.Generator().manual_seed(0))
    x = torch.full((1000,), 0.4, requires_grad=True)
    got = dropping(x)
    assert set(got.unique().tolist()) == {0.0, x[0].item()}
    got.sum().backward()
    assert torch.equal(x.grad, torch.ones(1000))
    # Each value that was quantized pulls by round(v) - v = -0.4; the gradient is divided by the root of 1000 * 3.
    quantized = int((got == 0).sum())
    assert float(dropping.step.scale.grad) == pytest.approx(-0.4 * quantized / (3000**0.5), rel=1e-5)  # type: ignore[arg-type]


def test_steps_are_learned_and_embeddings_closer(vit: nn.Module, small_data: RangeData) -> None:
    expected = embeddings(vit, small_data)
    learned, nearest = (prepare(vit, small(name), small_data) for name in ("w3a4-qdrop-both", "w3a4-rtn-both"))
    for wanted, ours, theirs in zip(
        expected, embeddings(learned, small_data), embeddings(nearest, small_data), strict=True
    ):
        assert float((ours - wanted).norm()) < 0.85 * float((theirs - wanted).norm())
    layer = "visual.transformer.resblocks.1.mlp.c_proj.activation"
    before, after = (model.get_submodule(layer) for model in (nearest, learned))
    assert isinstance(after, StaticQuantizer)
    assert not torch.equal(before.scale, after.scale)  # type: ignore[arg-type]
    assert torch.equal(before.zero_point, after.zero_point)  # type: ignore[arg-type]


def test_it_is_repeatable_seeded_complete_and_restored_bit_for_bit(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a4-smoothquant+mse+qdrop")
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        for expected, got in zip(embeddings(first, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)
    assert coverage(first, small_data.images[:1], small_data.tokens[:1], "vision").complete
    other = prepare(vit, replace(recipe, seed=1), small_data)
    assert not torch.equal(embeddings(first, small_data)[0], embeddings(other, small_data)[0])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("w4a16-qdrop", "quantizing them"),
        ("w4a4-dynamic+qdrop", "dynamic activations have none"),
        ("fp8-qdrop", "integer codes"),
        ("w4a4-qdrop+lsq", "starting|rounding"),
        ("w4a4-gptq+qdrop", "both are about rounding"),
    ],
)
def test_senseless_names_are_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(name)
