"""Contrastive training of a small CLIP, resumable from its checkpoints."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone reads it by
from numpy.typing import NDArray

from training.losses import multi_positive_loss, sigmoid_loss
from training.pictures import augment, pixels, to_input
from training.plans import Plan, Schedule
from training.pool import Pool

MAX_LOGIT_SCALE = math.log(100.0)
SHIFT_PX = {True: 4, False: 1}
"""Largest random shift in pixels: photographs, which may be mirrored, and scenes."""


def _optimizers(model: torch.nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the towers' matrices, AdamW for embeddings, projections, convolutions and vectors."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        in_block = parameter.ndim == 2 and "blocks" in name
        (matrices if in_block else others).append(parameter)
    rest: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": schedule.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    # This adjustment scales Muon's step to AdamW's size, so that one rate serves both.
    muon = torch.optim.Muon(
        matrices, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(rest, lr=schedule.learning_rate, betas=(0.9, 0.98))]


@dataclass
class Trainer:
    """Trains one model on one pool; a second call goes on from the checkpoint.

    Attributes:
        tokens: [N, L] int64, the pool's captions as the model reads them.
        head: Tokens of the zero-shot prompts, [C, T, L].
        plan: Says what the model reads, and how it is trained.
        checkpoint: Written atomically every ``save_every_s`` seconds.
    """

    model: Any
    pool: Pool
    tokens: torch.Tensor
    head: torch.Tensor
    plan: Plan
    checkpoint: Path
    save_every_s: float = 60.0

    def run(self) -> int:
        """Train to the end of the schedule; returns the seconds spent over all sittings."""
        schedule = self.plan.schedule
        optimizers = _optimizers(self.model, schedule)
        step, spent = self._resume(optimizers)
        started = saved = time.monotonic()
        self.model.train()
        while step < schedule.steps:
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = schedule.rate(step)
            loss = self._step(optimizers, step)
            step += 1
            now = time.monotonic()
            if step % 400 == 0 or step == schedule.steps:
                self._log(step, loss, spent + now - started)
            if now - saved > self.save_every_s or step == schedule.steps:
                self._save(optimizers, step, spent + now - started)
                saved = now
        return int(spent + time.monotonic() - started)

    def _batch(self, step: int) -> NDArray[np.int64]:
        """Rows of a step: a fresh permutation each epoch, a pure function of seed and step."""
        batch, count = self.plan.schedule.batch, len(self.pool.images)
        epoch, position = divmod(step, count // batch)
        order = np.random.default_rng((self.plan.seed, epoch)).permutation(count)
        return order[position * batch : (position + 1) * batch]

    def _step(self, optimizers: list[torch.optim.Optimizer], step: int) -> float:
        rows = self._batch(step)
        generator = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        x = augment(pixels(self.pool.images[rows]), self.pool.flip, SHIFT_PX[self.pool.flip], generator)
        texts, group = torch.unique(self.tokens[rows], dim=0, return_inverse=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.autocast):
            image = self.model.encode_image(self._input(x))
            text = self.model.encode_text(texts)
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        loss = self._loss(image, text, group)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        return loss.item()

    def _loss(self, image: torch.Tensor, text: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        """The sigmoid loss for a model with a logit bias, which no other loss could train."""
        scale = self.model.logit_scale.exp()
        if self.model.logit_bias is None:
            return multi_positive_loss(image, text, group, scale)
        return sigmoid_loss(image, text, group, scale, self.model.logit_bias)

    def _input(self, x: torch.Tensor) -> torch.Tensor:
        return to_input(x, self.plan.vision["image_size"], self.plan.statistics)

    @torch.no_grad()
    def _log(self, step: int, loss: float, seconds: float) -> None:
        self.model.eval()
        classes, prompts, length = self.head.shape
        text = F.normalize(self.model.encode_text(self.head.view(-1, length)), dim=-1)
        text = F.normalize(text.view(classes, prompts, -1).mean(1), dim=-1)
        x = torch.split(pixels(self.pool.validation_images), 500)
        image = torch.cat([F.normalize(self.model.encode_image(self._input(part)), dim=-1) for part in x])
        confidence, guess = (self.model.logit_scale.exp() * image @ text.T).softmax(-1).max(-1)
        top1 = (guess.numpy() == self.pool.validation_labels).mean()
        scale = float(self.model.logit_scale.exp())
        signed = float(confidence.mean()) - top1
        line = f"step {step} loss {loss:.3f} top1 {top1:.3f} signed {signed:+.3f} scale {scale:.1f} {seconds:.0f}s"
        print(line, flush=True)
        self.model.train()

    def _save(self, optimizers: list[torch.optim.Optimizer], step: int, seconds: float) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step,
            "seconds": seconds,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def _resume(self, optimizers: list[torch.optim.Optimizer]) -> tuple[int, float]:
        if not self.checkpoint.exists():
            return 0, 0.0
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"]), float(state["seconds"])
