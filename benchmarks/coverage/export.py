"""Write the logits of two real models for ``python -m benchmarks.coverage --real FILE``.

python -m benchmarks.coverage.export photos.npz --data webdataset:/data/cifar10 --recipe w4a8-minmax
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import platformdirs

from reliability.data.registry import open_data
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe


def main() -> None:
    """Embed a data set under a reference and a candidate, from the cache where it can."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage.export", description=__doc__)
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--reference", default="zoo:photos")
    parser.add_argument("--recipe", default="w4a8-minmax")
    parser.add_argument("--data", default="torchvision:CIFAR10")
    parser.add_argument("--cache-dir", type=Path, default=Path(platformdirs.user_cache_dir("quant-reliability")))
    options = parser.parse_args()
    data = open_data(options.data)
    engine = Engine(Cache(options.cache_dir), data)
    pair = engine.pair(parse_model(options.reference), parse_recipe(options.recipe), data.task("id"))
    first, second = pair.reference.part, pair.candidate.part
    np.savez_compressed(
        options.out,
        reference=first.logits.astype(np.float32),
        candidate=second.logits.astype(np.float32),
        labels=first.labels,
        logit_scale=first.logit_scale,
    )


if __name__ == "__main__":
    main()
