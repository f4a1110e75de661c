"""Train zoo models: ``python -m training scenes-clean scenes-web photos``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from reliability.models.reduced_tokenizer import ReducedTokenizer, tokens_used
from reliability.torchvision_shim import ensure_torchvision_imports
from training.contrastive import Trainer
from training.plans import PLANS, TEXT_TOWER, Plan
from training.pool import Pool
from training.sources import SOURCES

ZOO = Path(__file__).resolve().parents[1] / "reliability" / "models" / "zoo"


def train(plan: Plan, pool: Pool, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
    """Train one model to the end of its plan.

    Args:
        plan: What to train.
        pool: What to train it on.
        checkpoint: A training that ends early goes on from here.

    Returns:
        The model and its configuration, as ``NAME.json`` holds it.
    """
    from open_clip.model import CLIP

    prompts = [template.format(c=c) for c in pool.class_names for template in pool.templates]
    distinct = sorted(set(pool.captions))
    vocabulary = tokens_used([*distinct, *prompts])
    tokenizer = ReducedTokenizer(vocabulary, TEXT_TOWER["context_length"])
    row = {caption: i for i, caption in enumerate(distinct)}
    tokens = tokenizer(distinct)[[row[caption] for caption in pool.captions]]
    head = tokenizer(prompts).view(len(pool.class_names), len(pool.templates), -1)
    config: dict[str, Any] = {
        "model_cfg": plan.model_config(tokenizer.vocab_size), "preprocess_cfg": plan.preprocessing,
        "token_ids": vocabulary,
    }  # fmt: skip
    torch.manual_seed(plan.seed)
    model = CLIP(**config["model_cfg"])
    seconds = Trainer(model, pool, tokens, head, plan, checkpoint).run()
    config["training"] = {
        "source": plan.source, "pictures": len(pool.images), "steps": plan.schedule.steps,
        "batch": plan.schedule.batch, "seed": plan.seed, "seconds": seconds, "torch": torch.__version__,
    }  # fmt: skip
    return model, config


def write(name: str, model: Any, config: dict[str, Any], out: Path) -> None:
    """Write ``NAME.safetensors`` in float16 and ``NAME.json``."""
    weights = {key: value.half().contiguous() for key, value in model.state_dict().items() if value.is_floating_point()}
    save_file(weights, out / f"{name}.safetensors", metadata={"format": "pt"})
    (out / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PLANS), help=f"among {', '.join(PLANS)}")
    parser.add_argument("--work", type=Path, default=Path(".cache/zoo"), help="checkpoints to resume from")
    parser.add_argument(
        "--data-root", type=Path, default=Path("data"), help="holds cifar10/ and tinyimagenet/ with train/*.parquet"
    )
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
        plan = PLANS[name]
        pool = SOURCES[plan.source](plan.seed, options.data_root)
        write(name, *train(plan, pool, options.work / f"{name}.pt"), options.out)


if __name__ == "__main__":
    main()
