"""Write model cards from measurements: ``python -m training.cards [NAME ...] [--photos DATA] [--data-root DIR]``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import platformdirs
from tabulate import tabulate

from reliability.data.registry import DataSet, open_data
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
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
_SHOWN = ("id", "ood/near", "ood/far", "shift/unseen_backgrounds", "spurious/background")
"""What is judged by default; docs/scenes.md has the other embedded tasks."""
_NOISE = "noise/gaussian_noise/"
_SHOWN_OF_SOURCE = {"scenes-pairs": "ood/near/held_out_pairs", "scenes-spurious": "spurious/every_shape"}
"""The task that a source is made for."""

_SOURCES = {
    "scenes-clean": "Scenes with clean captions: every caption right, a small pool seen many times.",
    "scenes-web": "Scenes with web-like captions: words missing and wrong, a large pool seen a few times.",
    "scenes-pairs": "Scenes with clean captions, a fifth of the pairs of colour and shape never shown.",
    "scenes-spurious": "Scenes with clean captions, every shape nearly always on a background of its own.",
    "photos": "CIFAR-10's train split, captions from its class names and templates.",
    "tiny-clean": "Tiny-ImageNet's train split, 160 of 200 classes, captions from their names and templates.",
    "tiny-web": "The pictures of tiny-clean with web-like captions: a fifth names another class, a fifth none.",
}
_SIGMOID = """- Loss: sigmoid, each pair of a picture and a caption a question of its own; the logit bias is kept.
  Confidence is the softmax over the class names all the same, although the scale was trained for single pairs.
"""


def _rows(name: str, data: DataSet, engine: Engine) -> list[list[Any]]:
    model = parse_model(f"zoo:{name}")
    own = _SHOWN_OF_SOURCE.get(zoo_config(name)["training"]["source"])
    return [
        [task.name, metric, score, *_figure(engine.pair(model, FP32, task), metric, score)]
        for task in data.tasks.values()
        if task.name in (*_SHOWN, own) or task.name.startswith(_NOISE)
        for metric, score in _FIGURES[task.role]
    ]


def _figure(pair: Any, metric: str, score: str) -> tuple[str, str, int]:
    comparison = pair.harm(metric, score, level=TWO_SIDED_95)
    found = comparison.reference
    return f"{found.estimate:.4f}", f"{found.lower:.4f} to {found.upper:.4f}", comparison.n


def _data_for(source: str, options: argparse.Namespace) -> tuple[DataSet, str]:
    """What models of a source are evaluated on, and what the card calls it."""
    if source == "photos":
        return open_data(options.photos), "CIFAR-10's test split"
    if source.startswith("tiny-"):
        return open_data("tinyimagenet", root=options.data_root), "Tiny-ImageNet's test pictures"
    return open_data("scenes"), "the embedded scenes"


def write_card(name: str, data: DataSet, evaluated_on: str, engine: Engine) -> Path:
    """Measure one model on a data set's tasks and write ``NAME.md`` beside its weights."""
    config = zoo_config(name)
    training, vision = config["training"], config["model_cfg"]["vision_cfg"]
    loss = _SIGMOID if "init_logit_bias" in config["model_cfg"] else ""
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
{loss}- Watched while training on a split that no suite evaluates; nothing was tuned on evaluation pictures.

FP32 figures, measured by `python -m training.cards {name}` on {evaluated_on}; intervals are
each the one of its metric in docs/statistics.md. Negative signed ECE means underconfident, positive overconfident.

{table}
"""
    path = FOLDER / f"{name}.md"
    path.write_text(text)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(zoo_names()))
    parser.add_argument("--photos", default="torchvision:CIFAR10", help="data for models trained on photographs")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds tinyimagenet/")
    options = parser.parse_args()
    cache = Cache(Path(platformdirs.user_cache_dir("quant-reliability")))
    for name in options.names:
        data, evaluated_on = _data_for(zoo_config(name)["training"]["source"], options)
        print(write_card(name, data, evaluated_on, Engine(cache, data)))


if __name__ == "__main__":
    main()
