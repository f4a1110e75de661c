"""Every training end to end on a small CLIP, and what they have in common: held-out pairs, checkpoints, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize

from reliability.errors import QuantizationError
from reliability.quant.coverage import coverage
from reliability.quant.methods.lsq import VARIANTS
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.qat import training
from reliability.quant.qat.held_out import HeldOut
from reliability.quant.qat.learnable import Learnable
from reliability.quant.recipe import QatSettings, Recipe, parse_recipe

WORDS = [word if word != "lsqplus" else "minmax+lsqplus" for word in VARIANTS]  # least squared error takes its time
QUICK = QatSettings(steps=12, batch=12, learning_rate=1e-3)


def recipe(name: str, **settings: object) -> Recipe:
    return replace(parse_recipe(name), range_images=24, qat=replace(QUICK, **settings))


@pytest.fixture
def _saves_every_other_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_REPORT_EVERY", 2)
    monkeypatch.setattr(HeldOut, "every", 2)


def weights(clip: nn.Module) -> Tensor:
    return torch.cat([value.flatten().float() for value in clip.state_dict().values()])


@torch.no_grad()
def image_cosine(clip: nn.Module, other: nn.Module, data: RangeData) -> float:
    return float(F.cosine_similarity(clip.encode_image(data.images), other.encode_image(data.images)).mean())


@pytest.fixture(scope="module")
def rounded(vit: nn.Module, small_data: RangeData) -> nn.Module:
    return prepare(vit, replace(parse_recipe("w4a4-minmax"), range_images=24), small_data)


@pytest.mark.parametrize("word", WORDS)
def test_a_training_recovers_what_rounding_lost_and_leaves_only_its_result(
    word: str, vit: nn.Module, rounded: nn.Module, small_data: RangeData
) -> None:
    trained = prepare(vit, recipe(f"w4a4-{word}", steps=25), small_data)
    before = image_cosine(vit, rounded, small_data)
    assert image_cosine(vit, trained, small_data) > before + 0.2 * (1 - before)
    assert coverage(trained, small_data.images[:1], small_data.tokens[:1], "vision").complete
    assert not any(parametrize.is_parametrized(m) or isinstance(m, Learnable) for m in trained.modules())
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    assert torch.equal(trained.logit_scale, vit.logit_scale)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["w4a4-ste", "w4a8_asym-lsq", "w3a8_g32-lsqw", "w4a8_g32_asym-lsqw", "w4a8_t-minmax+lsqplus-both", "w8a8-pact-text",
     "w3a8_g32-dorefa-both"],
)  # fmt: skip
def test_the_seed_alone_decides_and_a_skeleton_restores_every_bit(
    name: str, vit: nn.Module, small_data: RangeData
) -> None:
    torch.manual_seed(torch.seed() % 1000)  # the global state must not matter
    first, again, other = (prepare(vit, recipe(f"{name}{seed}", steps=2), small_data) for seed in ("", "-s0", "-s1"))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))
    restored = skeleton(vit, recipe(name))
    restored.load_state_dict(first.state_dict())
    assert torch.equal(first.encode_image(small_data.images), restored.encode_image(small_data.images))
    assert torch.equal(first.encode_text(small_data.tokens), restored.encode_text(small_data.tokens))


@pytest.mark.parametrize(
    "name", ["w4a16-ste", "w4a16-lsqw", "w4a16-dorefa", "mxfp4-ste", "nvfp4-ste", "fp8-ste", "w4a8-dynamic+ste"]
)
def test_trainings_that_learn_no_activation_range_work_without_one(
    name: str, vit: nn.Module, small_data: RangeData
) -> None:
    word = name.partition("-")[2]
    plain = name.replace(word, "dynamic" if "dynamic" in word else "rtn")
    before = image_cosine(vit, prepare(vit, replace(parse_recipe(plain), range_images=24), small_data), small_data)
    trained = prepare(vit, recipe(name, steps=20, learning_rate=2e-4), small_data)
    assert image_cosine(vit, trained, small_data) > before


def test_ste_keeps_ranges_and_others_move_them(vit: nn.Module, rounded: nn.Module, small_data: RangeData) -> None:
    def scale(clip: nn.Module) -> float:
        return float(clip.get_buffer("visual.transformer.resblocks.1.mlp.c_fc.activation.scale"))

    moved = {word: scale(prepare(vit, recipe(f"w4a4-{word}", steps=3), small_data)) for word in WORDS}
    kept = [word for word, value in moved.items() if value == scale(rounded)]
    assert kept == ["ste", "dorefa"]


def test_lsq_plus_starts_from_ranges_of_least_squared_error() -> None:
    assert parse_recipe("w4a4-lsqplus").range_setting == "mse"
    assert parse_recipe("w4a4-minmax+lsqplus").range_setting == "minmax"


def test_only_learned_weight_steps_leave_the_largest_weight(vit: nn.Module, small_data: RangeData) -> None:
    name = "visual.transformer.resblocks.0.mlp.c_fc"

    def largest_codes(word: str) -> Tensor:
        layer = prepare(vit, recipe(f"w4a4-{word}"), small_data).get_submodule(name)
        return (layer.weight / layer.weight_scale).abs().amax(dim=1).round()

    assert bool((largest_codes("lsq") == 7).all())
    assert bool((largest_codes("lsqw") != 7).any())


@pytest.mark.parametrize("loss", ["contrastive", "contrastive+mse", "similarity", "cosine+similarity+contrastive+mse"])
def test_every_loss_trains_to_something_else(loss: str, vit: nn.Module, small_data: RangeData) -> None:
    default = prepare(vit, recipe("w4a4-lsq", steps=3), small_data)
    other = prepare(vit, recipe("w4a4-lsq", steps=3, loss=loss), small_data)
    assert not torch.equal(weights(default), weights(other))


def test_settings_that_came_later_leave_the_address_of_a_default_training_alone() -> None:
    plain = parse_recipe("w4a4-lsq")
    assert plain.qat is not None
    assert set(plain.identity["qat"]) == {"steps", "batch", "learning_rate", "step_size_rate"}
    for setting in ({"loss": "contrastive"}, {"held_out": 0.25}):
        changed = replace(plain, qat=replace(plain.qat, **setting))
        assert changed.identity["qat"] == plain.identity["qat"] | setting


def held_out(losses: list[float], looks: int) -> tuple[HeldOut, nn.Linear, int]:
    """A watch after so many looks at a model whose weight is the number of the look."""
    model, values = nn.Linear(1, 1), iter(losses)
    watch = HeldOut(model, lambda: next(values))
    done = 0
    while done < looks and not watch.over:
        model.weight.data.fill_(done)
        watch.look(10 * done)
        watch.look(10 * done)
        done += 1
    return watch, model, done


def test_training_stops_after_three_looks_without_a_lower_loss_and_goes_back() -> None:
    watch, model, done = held_out([5.0, 3.0, 4.0, 3.0, 3.5, 1.0], looks=6)
    assert (done, watch.restore(), watch.best_loss) == (5, 10, 3.0)
    assert model.weight.item() == 1


def test_a_loss_that_keeps_falling_never_stops_training() -> None:
    watch, _, done = held_out([5.0, 4.0, 3.0, 2.0, 1.0], looks=5)
    assert (done, watch.restore()) == (5, 40)


@pytest.mark.usefixtures("_saves_every_other_step")
def test_held_out_pairs_are_never_trained_on(vit: nn.Module, small_data: RangeData) -> None:
    tokens = small_data.tokens.clone()
    tokens[18:] = tokens[18:].flip(0)
    reports: list[list[str]] = []
    for held_out in (0.25, 0.0):
        for captions in (small_data.tokens, tokens):
            lines: list[str] = []
            wanted = recipe("w4a4-lsq", held_out=held_out, steps=4, loss="contrastive")
            prepare(vit, wanted, RangeData(small_data.images, captions), lines.append)
            reports.append([line for line in lines if "step 4/4" in line])
    assert reports[0] == reports[1] != []
    assert reports[2] != reports[3]


def test_a_result_is_never_worse_on_held_out_pairs_than_the_start(vit: nn.Module, small_data: RangeData) -> None:
    reckless = recipe("w8a8-lsq", held_out=0.5, learning_rate=0.3, steps=15)
    kept = prepare(vit, reckless, small_data)
    untrained = prepare(vit, replace(parse_recipe("w8a8-minmax"), range_images=24), small_data)
    torch.testing.assert_close(kept.encode_image(small_data.images), untrained.encode_image(small_data.images))


class InterruptedTrainingError(Exception):
    """Stands for a process that was ended."""


def stop_at(step: int) -> Callable[[str], None]:
    def report(line: str) -> None:
        if f"step {step}/" in line:
            raise InterruptedTrainingError

    return report


@pytest.mark.usefixtures("_saves_every_other_step")
@pytest.mark.parametrize(("word", "held_out"), [("lsq", 0.0), ("noise", 0.0), ("lsqw", 0.25)])
def test_a_training_that_goes_on_from_a_checkpoint_ends_in_the_same_bits(
    word: str, held_out: float, vit: nn.Module, small_data: RangeData, tmp_path: Path
) -> None:
    wanted, path, lines = recipe(f"w4a4-{word}", steps=5, held_out=held_out, batch=6), tmp_path / "a" / "b.pt", []
    with pytest.raises(InterruptedTrainingError):
        prepare(vit, wanted, small_data, stop_at(4), checkpoint=path)
    assert path.exists()
    resumed = prepare(vit, wanted, small_data, lines.append, checkpoint=path)
    assert any("going on from step 2" in line for line in lines)
    assert not path.exists()
    assert torch.equal(weights(resumed), weights(prepare(vit, wanted, small_data)))


@pytest.mark.usefixtures("_saves_every_other_step")
def test_a_checkpoint_of_another_training_is_refused(vit: nn.Module, small_data: RangeData, tmp_path: Path) -> None:
    path, wanted = tmp_path / "c.pt", recipe("w4a4-lsq", steps=5, batch=4)
    with pytest.raises(InterruptedTrainingError):
        prepare(vit, wanted, small_data, stop_at(4), checkpoint=path)
    with pytest.raises(QuantizationError, match="another recipe"):
        prepare(vit, recipe("w4a4-lsq-s1", steps=5, batch=4), small_data, checkpoint=path)
    other = RangeData(small_data.images.flip(0), small_data.tokens)
    with pytest.raises(QuantizationError, match="range-setting data"):
        prepare(vit, wanted, other, checkpoint=path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(QuantizationError, match="not a checkpoint"):
        prepare(vit, wanted, small_data, checkpoint=path)


def test_training_composes_with_rotation(vit: nn.Module, small_data: RangeData) -> None:
    wanted = recipe("w4a4-hadamard+lsq", steps=10)
    trained, restored = prepare(vit, wanted, small_data), skeleton(vit, wanted)
    restored.load_state_dict(trained.state_dict())
    assert torch.equal(trained.encode_image(small_data.images), restored.encode_image(small_data.images))
    plain = prepare(vit, replace(parse_recipe("w4a4-hadamard"), range_images=24), small_data)
    assert image_cosine(vit, trained, small_data) > image_cosine(vit, plain, small_data)
