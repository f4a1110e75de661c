"""Write model cards from measurements: ``python -m training.cards [NAME ...] [--photos DATA]``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import platformdirs
from tabulate import tabulate

from reliability.data.registry import DataSet, open_data
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.models.spec import parse_model
from reliability.models.zoo import FOLDER, zoo_config, zoo_names, zoo_weights
from reliability.quant.recipe import FP32

TWO_SIDED_95 = 0.975
"""Level of each one-sided limit, so that both together hold 95 %."""

_FIGURES = {
    "id": (("top1", ""), ("ece", ""), ("signed_ece", ""), ("nll", "")),
    "ood": (("auroc", "mcm"), ("auroc", "msp"), ("fpr95", "mcm")),
    "shift": (("top1", ""), ("ece", "")),
    "noise": (("top1", ""), ("ece", "")),
    "spurious": (("worst_group_accuracy", ""), ("group_gap", "")),
}
_NOISE = "noise/gaussian_noise/"
_SOURCES = {
    "scenes-clean": "Scenes with clean captions: every caption right, a small pool seen many times.",
    "scenes-web": "Scenes with web-like captions: words missing and wrong, a large pool seen a few times.",
    "photos": "CIFAR-10's train split, captions from its class names and templates.",
}
_EVALUATED_ON = {
    "scenes-clean": "the embedded scenes",
    "scenes-web": "the embedded scenes",
    "photos": "CIFAR-10's test split",
}


def _rows(name: str, data: DataSet, engine: Engine) -> list[list[Any]]:
    model = parse_model(f"zoo:{name}")
    return [
        [task.name, metric, score, *_figure(engine.pair(model, FP32, task), metric, score)]
        for task in data.tasks.values()
        if task.role != "noise" or task.name.startswith(_NOISE)
        for metric, score in _FIGURES[task.role]
    ]


def _figure(pair: Any, metric: str, score: str) -> tuple[str, str, int]:
    comparison = pair.harm(metric, score, level=TWO_SIDED_95)
    found = comparison.reference
    return f"{found.estimate:.4f}", f"{found.lower:.4f} to {found.upper:.4f}", comparison.n


def write_card(name: str, data: DataSet, engine: Engine) -> Path:
    """Measure one model on a data set's tasks and write ``NAME.md`` beside its weights."""
    config = zoo_config(name)
    training, vision = config["training"], config["model_cfg"]["vision_cfg"]
    size_mib = zoo_weights(name).stat().st_size / 2**20
    table = tabulate(
        _rows(name, data, engine),
        headers=["task", "metric", "score", "FP32", "95 % interval", "images"],
        tablefmt="github",
        disable_numparse=True,
    )
    text = f"""# zoo:{name}

{_SOURCES[training["source"]]}

- Vision tower: `{vision}`, text tower of {config["model_cfg"]["text_cfg"]["layers"]} layers, \
{len(config["token_ids"])} tokens of CLIP's vocabulary.
- Weights: float16 safetensors, {size_mib:.1f} MiB.
- Training: {training["pictures"]:,} captioned pictures, {training["steps"]:,} steps of \
{training["batch"]}, seed {training["seed"]}, {training["seconds"] / 60:.0f} minutes on a busy two-core CPU, \
torch {training["torch"]}. Reproduce with `make zoo ARGS="{name}"`.
- Watched while training on a split that no suite evaluates; nothing was tuned on evaluation pictures.

FP32 figures, measured by `python -m training.cards {name}` on {_EVALUATED_ON[training["source"]]}; intervals are
percentile bootstrap over pictures. Negative signed ECE means underconfident, positive overconfident.

{table}
"""
    path = FOLDER / f"{name}.md"
    path.write_text(text)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(zoo_names()))
    parser.add_argument("--photos", default="torchvision:CIFAR10", help="data for models trained on photographs")
    options = parser.parse_args()
    cache = Cache(Path(platformdirs.user_cache_dir("quant-reliability")))
    for name in options.names:
        data = open_data(options.photos if zoo_config(name)["training"]["source"] == "photos" else "scenes")
        print(write_card(name, data, Engine(cache, data)))


if __name__ == "__main__":
    main()
