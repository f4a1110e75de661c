"""The training loop: a quantized CLIP learns to embed image-caption pairs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.methods.workbench import Workbench
from reliability.quant.qat.checkpoint import Checkpoint
from reliability.quant.qat.held_out import HeldOut
from reliability.quant.qat.learnable import Group, Learnable
from reliability.quant.qat.losses import Batch, Pairs, total_loss
from reliability.quant.qat.precision import bfloat16_products, pays
from reliability.quant.recipe import QatSettings
from reliability.quant.towers import RangeData, encode

_WEIGHT_DECAY = 0.01
_REPORT_EVERY = 20
_TEACHER_BATCH = 64


class Training:
    """One training of the model of a workbench, in place and in eval mode.

    Args:
        bench: Its model has trainable quantized layers, its reference is the teacher.
        generators: What the layers draw random numbers from, to be saved with the rest.

    Conventions:
        AdamW with a cosine schedule. The logit scale is frozen: learning it would mix a
        change of temperature into what quantization does to confidence. Weight decay
        applies to matrices only. The order of pairs depends on the recipe's seed alone.
        A training that goes on from a checkpoint ends in the bits of one that was never
        interrupted. On a GPU products are taken in bfloat16 (``precision``); nothing is
        compiled, since a few hundred steps end before a compilation would have paid.
    """

    def __init__(self, bench: Workbench, generators: Sequence[torch.Generator] = ()) -> None:
        self.bench, self.settings = bench, bench.recipe.qat or QatSettings()
        self.teacher = teacher_features(bench.reference, bench.data)
        self.temperature = bench.reference.get_parameter("logit_scale").detach().exp()
        self.learned = [module for module in bench.model.modules() if isinstance(module, Learnable)]
        self.optimizer = torch.optim.AdamW(self._groups(), lr=self.settings.learning_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.settings.steps)
        self.order = torch.Generator().manual_seed(bench.recipe.seed)
        self.generators = [self.order, *generators]
        self.step = 0
        pairs, held = len(bench.data.images), round(self.settings.held_out * len(bench.data.images))
        self.seen = pairs - held
        self.held_out = HeldOut(bench.model, self._held_out_loss) if held else None
        self.checkpoint = Checkpoint(bench.checkpoint, bench.recipe, self.teacher) if bench.checkpoint else None

    @torch.enable_grad()
    def run(self) -> None:
        """Train to the last step, or until the held-out loss no longer falls.

        Raises:
            QuantizationError: The loss is no longer finite, or the checkpoint is another training's.
        """
        self._resume()
        while self.step < self.settings.steps and not self._over():
            loss = self._advance()
            if self.step % _REPORT_EVERY == 0:
                self._report(f"step {self.step}/{self.settings.steps}, loss {loss.item():.4f}")
                self._save()
        if self.held_out:
            self.held_out.look(self.step)
            best = self.held_out.restore()
            self._report(f"kept step {best}, held-out loss {self.held_out.best_loss:.4f}")
        if self.checkpoint:
            self.checkpoint.remove()

    def _over(self) -> bool:
        """Whether the held-out loss no longer falls; looks at it from time to time."""
        if self.held_out is None:
            return False
        if self.step % self.held_out.every == 0:
            self.held_out.look(self.step)
        return self.held_out.over

    def _advance(self) -> Tensor:
        """One optimizer step; its loss."""
        rows = torch.randperm(self.seen, generator=self.order)[: self.settings.batch]
        loss = self._loss(rows)
        if not bool(torch.isfinite(loss)):
            raise _diverged(self.bench.recipe.name, loss, self.step)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        for module in self.learned:
            module.keep_valid()
        self.step += 1
        return loss

    def _loss(self, rows: Tensor) -> Tensor:
        """The loss on some pairs; a tower that is not quantized has the teacher's features."""
        bench, teacher = self.bench, self.teacher.rows(rows)
        image, text = teacher.image, teacher.text
        with self._precision():
            if bench.recipe.quantizes("vision"):
                image = encode(bench.model, "vision", bench.data.images[rows]).float()
            if bench.recipe.quantizes("text"):
                text = encode(bench.model, "text", bench.data.tokens[rows]).float()
        return total_loss(self.settings.loss, Batch(Pairs(image, text), teacher, self.temperature))

    def _precision(self) -> AbstractContextManager[None]:
        device = self.bench.data.images.device
        return bfloat16_products(self.bench.model, device) if pays(device) else nullcontext()

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        rows = torch.split(torch.arange(self.seen, len(self.bench.data.images)), self.settings.batch)
        return sum(float(self._loss(part)) * len(part) for part in rows) / sum(map(len, rows))

    def _groups(self) -> list[Group]:
        """The towers' matrices, their vectors, and what each learnable module has of its own."""
        own = [group for module in self.learned for group in module.groups(self.settings.step_size_rate)]
        ids = {id(parameter) for group in own for parameter in group["params"]}
        trained = [p for p in _tower_parameters(self.bench) if id(p) not in ids]
        for parameter in trained:
            parameter.requires_grad_()
        return [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": _WEIGHT_DECAY},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
            *own,
        ]

    def _report(self, line: str) -> None:
        self.bench.report(f"{self.bench.recipe.name}: {line}")

    def _save(self) -> None:
        if self.checkpoint:
            self.checkpoint.save(self._state())

    def _resume(self) -> None:
        state = self.checkpoint.load() if self.checkpoint else None
        if state is None:
            return
        self.bench.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            generator.set_state(saved)
        if self.held_out:
            self.held_out.load_state(state["held_out"])
        self.step = state["step"]
        self._report(f"going on from step {self.step}")

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.bench.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generators": [generator.get_state() for generator in self.generators],
            "held_out": self.held_out.state() if self.held_out else None,
        }


@torch.no_grad()
def teacher_features(reference: nn.Module, data: RangeData) -> Pairs:
    """Features of all pairs, as the encoders give them."""
    image = torch.cat([encode(reference, "vision", batch) for batch in torch.split(data.images, _TEACHER_BATCH)])
    text = torch.cat([encode(reference, "text", batch) for batch in torch.split(data.tokens, _TEACHER_BATCH)])
    return Pairs(image, text)


def _tower_parameters(bench: Workbench) -> list[nn.Parameter]:
    frozen = ("logit_scale", "logit_bias")
    return [
        parameter
        for name, parameter in bench.model.named_parameters()
        if name not in frozen and bench.recipe.quantizes("vision" if name.startswith("visual.") else "text")
    ]


def _diverged(name: str, loss: Tensor, step: int) -> QuantizationError:
    return QuantizationError(
        where=f"recipe {name}",
        what="quantization-aware training diverged",
        got=f"loss {loss.item()} at step {step}",
        next="lower the recipe's learning rate, or check the range-setting data",
    )
