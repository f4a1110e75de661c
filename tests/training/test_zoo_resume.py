from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training.__main__ import train
from training.contrastive import Trainer
from training.plans import SIGMOID_LOGITS, Plan, Schedule
from training.pool import Pool

State = dict[str, torch.Tensor]


class KilledError(Exception):
    """Stands for a process that ends at any moment."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let training end before a step, with a checkpoint after every step before it; a negative step never comes."""
    whole = Trainer._step

    def kill(last: int) -> None:
        def step(self: Trainer, optimizers: Any, number: int) -> float:
            self.save_every_s = -1.0
            if number == last:
                raise KilledError
            return whole(self, optimizers, number)

        monkeypatch.setattr(Trainer, "_step", step)

    return kill


def trained(plan: Plan, pool: Pool, checkpoint: Path) -> State:
    model, _ = train(plan, pool, checkpoint)
    return dict(model.state_dict())


@pytest.mark.parametrize(
    ("vision", "changes"),
    [
        ("vit", {}),
        ("vit", {"logits": SIGMOID_LOGITS}),
        ("vit", {"autocast": True}),
        ("resnet", {}),
        ("convnext", {"logits": SIGMOID_LOGITS}),
    ],
    ids=["softmax", "sigmoid", "bfloat16", "batch norm", "convnext"],
)
def test_a_training_that_was_killed_twice_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, pool: Pool, plan: Callable[..., Plan], kill_at: Callable[[int], None], vision: str, changes: Any
) -> None:
    small = plan(vision, **changes)
    expected = trained(small, pool, tmp_path / "whole.pt")
    for step in (1, 5):
        kill_at(step)
        with pytest.raises(KilledError):
            train(small, pool, tmp_path / "killed.pt")
    kill_at(-1)
    got = trained(small, pool, tmp_path / "killed.pt")
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], value) for name, value in expected.items())


def test_a_finished_training_is_not_trained_again(
    tmp_path: Path, pool: Pool, plan: Callable[..., Plan], kill_at: Callable[[int], None]
) -> None:
    first = trained(plan(), pool, tmp_path / "work.pt")
    kill_at(7)
    again = trained(plan(), pool, tmp_path / "work.pt")
    assert all(torch.equal(again[name], value) for name, value in first.items())


def test_training_learns_to_tell_its_pictures_apart(tmp_path: Path, pool: Pool, plan: Callable[..., Plan]) -> None:
    schedule = Schedule(steps=40, warmup=5, hold=20, batch=20, learning_rate=5e-3)
    losses: list[float] = []
    whole = Trainer._step

    def step(self: Trainer, optimizers: Any, number: int) -> float:
        losses.append(whole(self, optimizers, number))
        return losses[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", step)
        train(plan(schedule=schedule), pool, tmp_path / "work.pt")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_only_a_plan_with_a_bias_makes_a_model_with_one_and_trains_it(
    tmp_path: Path, pool: Pool, plan: Callable[..., Plan]
) -> None:
    assert "logit_bias" not in trained(plan(), pool, tmp_path / "softmax.pt")
    bias = trained(plan(logits=SIGMOID_LOGITS), pool, tmp_path / "sigmoid.pt")["logit_bias"]
    assert bias.item() != SIGMOID_LOGITS["init_logit_bias"]
    assert bias.item() == pytest.approx(-10.0, abs=0.1)


def test_the_logit_scale_never_exceeds_a_hundred(tmp_path: Path, pool: Pool, plan: Callable[..., Plan]) -> None:
    logits = {"init_logit_scale": math.log(100.0) + 0.5}
    assert trained(plan(logits=logits), pool, tmp_path / "work.pt")["logit_scale"].exp().item() <= 100.0 * (1 + 1e-6)
