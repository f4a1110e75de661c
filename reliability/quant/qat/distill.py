"""Train a quantized CLIP to embed images and captions as its FP32 original does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError
from reliability.quant.methods.workbench import Workbench
from reliability.quant.qat.lsq import LearnedStep
from reliability.quant.recipe import QatSettings, Recipe
from reliability.quant.towers import RangeData, encode

_WEIGHT_DECAY = 0.01
_REPORT_EVERY = 20
_TEACHER_BATCH = 64


@dataclass(frozen=True)
class Pairs:
    """[N, D] unit image features and unit text features, row by row of one pair."""

    image: Tensor
    text: Tensor


@torch.enable_grad()
def distill(bench: Workbench, steps: Mapping[str, LearnedStep]) -> None:
    """Train the model of a workbench in place, in eval mode.

    Args:
        bench: Its model has trainable quantized layers, its reference is the teacher.
        steps: Learned activation steps.

    Raises:
        QuantizationError: The loss is no longer finite.

    Conventions:
        The logit scale is frozen: learning it would mix a change of temperature
        into what quantization does to confidence. Weight decay applies to
        matrices only. The order of pairs depends on the recipe's seed alone.
    """
    settings = bench.recipe.qat or QatSettings()
    teacher = _teacher_features(bench.reference, bench.data)
    temperature = bench.reference.logit_scale.detach().exp()  # type: ignore[operator]
    optimizer = _optimizer(bench.model, bench.recipe, settings, steps)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    order = torch.Generator().manual_seed(bench.recipe.seed)
    for step in range(settings.steps):
        rows = torch.randperm(len(bench.data.images), generator=order)[: settings.batch]
        wanted = Pairs(teacher.image[rows], teacher.text[rows])
        loss = distillation_loss(_student_features(bench, rows, wanted), wanted, temperature)
        _require_finite_loss(loss, step, bench.recipe)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        for learned in steps.values():
            learned.keep_positive()
        if (step + 1) % _REPORT_EVERY == 0:
            bench.report(f"{bench.recipe.name}: step {step + 1}/{settings.steps}, loss {loss.item():.4f}")


def distillation_loss(student: Pairs, teacher: Pairs, temperature: Tensor) -> Tensor:
    """One minus cosine of the features, plus the divergence of similarity rows and columns.

    Args:
        student, teacher: Unit features of the same B pairs.
        temperature: Multiplies cosines.

    Returns:
        0-d: the mean of 1 - cos over images plus that over texts, plus the mean
        of KL(teacher || student) over the images' distributions of texts and over
        the texts' distributions of images.
    """
    feature = (1 - (student.image * teacher.image).sum(dim=1)).mean()
    feature = feature + (1 - (student.text * teacher.text).sum(dim=1)).mean()
    ours, theirs = (temperature * pairs.image @ pairs.text.T for pairs in (student, teacher))
    return feature + (_divergence(theirs, ours) + _divergence(theirs.T, ours.T)) / 2


def _divergence(target: Tensor, logits: Tensor) -> Tensor:
    target, logits = target.log_softmax(dim=1), logits.log_softmax(dim=1)
    return F.kl_div(logits, target, reduction="batchmean", log_target=True)


@torch.no_grad()
def _teacher_features(reference: nn.Module, data: RangeData) -> Pairs:
    image = torch.cat([encode(reference, "vision", batch) for batch in torch.split(data.images, _TEACHER_BATCH)])
    text = torch.cat([encode(reference, "text", batch) for batch in torch.split(data.tokens, _TEACHER_BATCH)])
    return Pairs(F.normalize(image, dim=1), F.normalize(text, dim=1))


def _student_features(bench: Workbench, rows: Tensor, teacher: Pairs) -> Pairs:
    """The model's own features for its quantized towers, the teacher's for the others."""
    image, text = teacher.image, teacher.text
    if bench.recipe.quantizes("vision"):
        image = F.normalize(encode(bench.model, "vision", bench.data.images[rows]), dim=1)
    if bench.recipe.quantizes("text"):
        text = F.normalize(encode(bench.model, "text", bench.data.tokens[rows]), dim=1)
    return Pairs(image, text)


def _optimizer(
    model: nn.Module, recipe: Recipe, settings: QatSettings, steps: Mapping[str, LearnedStep]
) -> torch.optim.Optimizer:
    """AdamW over the towers' parameters, with a rate per step size in proportion to it."""
    learned = {id(step.scale) for step in steps.values()}
    trained = [p for p in _tower_parameters(model, recipe) if id(p) not in learned]
    for parameter in trained:
        parameter.requires_grad_()
    groups: list[dict[str, object]] = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": _WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups += [
        {"params": [step.scale], "weight_decay": 0.0, "lr": settings.step_size_rate * step.initial_scale}
        for step in steps.values()
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def _tower_parameters(model: nn.Module, recipe: Recipe) -> list[nn.Parameter]:
    frozen = ("logit_scale", "logit_bias")
    return [
        parameter
        for name, parameter in model.named_parameters()
        if name not in frozen and recipe.quantizes("vision" if name.startswith("visual.") else "text")
    ]


def _require_finite_loss(loss: Tensor, step: int, recipe: Recipe) -> None:
    if not bool(torch.isfinite(loss)):
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what="quantization-aware training diverged",
            got=f"loss {loss.item()} at step {step}",
            next="lower the recipe's learning rate, or check the range-setting data",
        )
