"""Train zoo models: ``python -m training scenes-clean scenes-web photos``."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from reliability.models.reduced_tokenizer import ReducedTokenizer, tokens_used
from reliability.torchvision_shim import ensure_torchvision_imports
from training.contrastive import Schedule, Trainer
from training.sources import IMAGE_SIZE, SOURCES

ZOO = Path(__file__).resolve().parents[1] / "reliability" / "models" / "zoo"
CONTEXT_LENGTH = 16
TEXT_TOWER = {"context_length": CONTEXT_LENGTH, "width": 128, "heads": 4, "layers": 2}
VIT = {"image_size": IMAGE_SIZE, "layers": 4, "width": 128, "head_width": 32, "patch_size": 4}
RESNET = {"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 18, "head_width": 18}
SCENES_STATISTICS = ([0.45, 0.43, 0.42], [0.25, 0.25, 0.27])
CIFAR_STATISTICS = ([0.491, 0.482, 0.447], [0.247, 0.243, 0.262])


@dataclass(frozen=True)
class Plan:
    """One zoo model: tower, source, length and seed.

    Attributes:
        vision: open_clip's ``vision_cfg``.
        statistics: Per-channel mean and standard deviation of the input.
    """

    vision: dict[str, Any]
    source: str
    schedule: Schedule
    statistics: tuple[list[float], list[float]]
    autocast: bool
    seed: int = 0


_SCENES_SCHEDULE = Schedule(steps=3500, warmup=250, hold=1500)
_PHOTOS_SCHEDULE = Schedule(steps=3800, warmup=190, hold=190, batch=256, learning_rate=2e-3)

PLANS: dict[str, Plan] = {
    "scenes-clean": Plan(VIT, "scenes-clean", _SCENES_SCHEDULE, SCENES_STATISTICS, autocast=True),
    "scenes-web": Plan(VIT, "scenes-web", _SCENES_SCHEDULE, SCENES_STATISTICS, autocast=True),
    "photos": Plan(RESNET, "photos", _PHOTOS_SCHEDULE, CIFAR_STATISTICS, autocast=False),
}
"""Name to plan; a new zoo model is one line here."""


def _build(plan: Plan, vocabulary: list[int]) -> tuple[Any, dict[str, Any]]:
    from open_clip.model import CLIP

    text = {**TEXT_TOWER, "vocab_size": len(vocabulary) + 3}
    config = {
        "model_cfg": {"embed_dim": 128, "vision_cfg": plan.vision, "text_cfg": text},
        "preprocess_cfg": {
            "mean": plan.statistics[0], "std": plan.statistics[1],
            "interpolation": "bicubic", "resize_mode": "shortest",
        },
        "token_ids": vocabulary,
    }  # fmt: skip
    torch.manual_seed(plan.seed)
    return CLIP(embed_dim=128, vision_cfg=plan.vision, text_cfg=text), config


def train(name: str, work: Path, data_root: Path, out: Path) -> None:
    """Train one model to the end of its plan and write its configuration and weights."""
    plan = PLANS[name]
    pool = SOURCES[plan.source](plan.seed, data_root)
    prompts = [template.format(c=c) for c in pool.class_names for template in pool.templates]
    vocabulary = tokens_used([*pool.captions, *prompts])
    tokenizer = ReducedTokenizer(vocabulary, CONTEXT_LENGTH)
    model, config = _build(plan, vocabulary)
    distinct = sorted(set(pool.captions))
    row = {caption: i for i, caption in enumerate(distinct)}
    tokens = tokenizer(distinct)[[row[caption] for caption in pool.captions]]
    head = tokenizer(prompts).view(len(pool.class_names), len(pool.templates), -1)
    trainer = Trainer(
        model, pool, tokens, head, plan.statistics, plan.schedule, plan.seed,
        checkpoint=work / f"{name}.pt", autocast=plan.autocast,
    )  # fmt: skip
    seconds = trainer.run()
    config["training"] = {
        "source": plan.source, "pictures": len(pool.images), "steps": plan.schedule.steps,
        "batch": plan.schedule.batch, "seed": plan.seed, "seconds": seconds, "torch": torch.__version__,
    }  # fmt: skip
    weights = {key: value.half().contiguous() for key, value in model.state_dict().items() if value.is_floating_point()}
    save_file(weights, out / f"{name}.safetensors", metadata={"format": "pt"})
    (out / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PLANS), help=f"among {', '.join(PLANS)}")
    parser.add_argument("--work", type=Path, default=Path(".cache/zoo"), help="checkpoints to resume from")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds cifar10/train/*.parquet")
    parser.add_argument("--out", type=Path, default=ZOO)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(PLANS))
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; known: {', '.join(PLANS)}")
    torch.set_num_threads(options.threads)
    ensure_torchvision_imports()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        train(name, options.work, options.data_root, options.out)


if __name__ == "__main__":
    main()
