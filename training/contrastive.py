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

from training.sources import Pool

MAX_LOGIT_SCALE = math.log(100.0)
SHIFT_PX = {True: 4, False: 1}
"""Largest random shift in pixels: photographs, which may be mirrored, and scenes."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, a plateau that may be empty, cosine decay to zero.

    Attributes:
        warmup: Steps until the peak rate.
        hold: Step at which the decay starts.
    """

    steps: int
    warmup: int
    hold: int
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = max(0, step - self.hold) / (self.steps - self.hold)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def multi_positive_loss(
    image: torch.Tensor, text: torch.Tensor, group: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE in which equal captions share the target.

    Args:
        image: [N, D] unit features.
        text: [M, D] unit features of the batch's distinct captions.
        group: [N] index of each picture's caption among the M.
        scale: Scalar logit scale.

    Conventions:
        Towards the text the target is the picture's own caption; towards the
        images it is uniform over the pictures that carry the caption.
    """
    logits = scale * image @ text.T
    owned = F.one_hot(group, text.shape[0]).to(logits.dtype)
    to_image = -(F.log_softmax(logits, dim=0) * owned / owned.sum(0)).sum() / text.shape[0]
    return 0.5 * (F.cross_entropy(logits, group) + to_image)


def to_input(images: NDArray[np.uint8], mean: list[float], std: list[float]) -> torch.Tensor:
    """uint8 [N, H, W, 3] to normalised float32 [N, 3, H, W]."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def augment(x: torch.Tensor, flip: bool, pad: int, generator: torch.Generator) -> torch.Tensor:
    """Shift each picture by up to ``pad`` pixels (edges reflected), mirror half of them."""
    n, _, height, width = x.shape
    padded = F.pad(x, (pad,) * 4, mode="reflect")
    dy, dx = torch.randint(0, 2 * pad + 1, (2, n), generator=generator)
    rows = (dy[:, None] + torch.arange(height))[:, None, :, None]
    columns = (dx[:, None] + torch.arange(width))[:, None, None, :]
    x = padded[torch.arange(n)[:, None, None, None], torch.arange(3)[:, None, None], rows, columns]
    if not flip:
        return x
    mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def _optimizers(model: torch.nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the towers' matrices, AdamW for embeddings, projections, convolutions and vectors."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        in_block = "resblocks" in name and parameter.ndim == 2
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
        checkpoint: Written atomically every ``save_every_s`` seconds.
    """

    model: Any
    pool: Pool
    tokens: torch.Tensor
    head: torch.Tensor
    normalise: tuple[list[float], list[float]]
    schedule: Schedule
    seed: int
    checkpoint: Path
    save_every_s: float = 60.0
    autocast: bool = True

    def run(self) -> int:
        """Train to the end of the schedule; returns the seconds spent over all sittings."""
        optimizers = _optimizers(self.model, self.schedule)
        step, spent = self._resume(optimizers)
        started = saved = time.monotonic()
        self.model.train()
        while step < self.schedule.steps:
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = self.schedule.rate(step)
            loss = self._step(optimizers, step)
            step += 1
            now = time.monotonic()
            if step % 400 == 0 or step == self.schedule.steps:
                self._log(step, loss, spent + now - started)
            if now - saved > self.save_every_s or step == self.schedule.steps:
                self._save(optimizers, step, spent + now - started)
                saved = now
        return int(spent + time.monotonic() - started)

    def _batch(self, step: int) -> NDArray[np.int64]:
        """Rows of a step: a fresh permutation each epoch, a pure function of seed and step."""
        per_epoch = len(self.pool.images) // self.schedule.batch
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.pool.images))
        return order[position * self.schedule.batch : (position + 1) * self.schedule.batch]

    def _step(self, optimizers: list[torch.optim.Optimizer], step: int) -> float:
        rows = self._batch(step)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        x = to_input(self.pool.images[rows], *self.normalise)
        x = augment(x, self.pool.flip, SHIFT_PX[self.pool.flip], generator)
        texts, group = torch.unique(self.tokens[rows], dim=0, return_inverse=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            image = self.model.encode_image(x)
            text = self.model.encode_text(texts)
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        loss = multi_positive_loss(image, text, group, self.model.logit_scale.exp())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        return loss.item()

    @torch.no_grad()
    def _log(self, step: int, loss: float, seconds: float) -> None:
        self.model.eval()
        classes, prompts, length = self.head.shape
        text = F.normalize(self.model.encode_text(self.head.view(-1, length)), dim=-1)
        text = F.normalize(text.view(classes, prompts, -1).mean(1), dim=-1)
        x = to_input(self.pool.validation_images, *self.normalise)
        image = torch.cat([F.normalize(self.model.encode_image(part), dim=-1) for part in torch.split(x, 500)])
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
