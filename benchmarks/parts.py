"""Parts of the gate: rendering, forward passes, resampling."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def _seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least of a few wall-clock times, in seconds."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _render_row() -> tuple[str, str, str]:
    from reliability.data.scenes.render import render
    from reliability.data.scenes.sample import sample

    scenes = sample("benchmark", 0, np.arange(1000))
    return "scenes rendered at 32 px, one thread", f"{1000 / _seconds(lambda: render(scenes, 32)):.0f} per second", ""


def _forward_rows() -> list[tuple[str, str, str]]:
    import torch

    from reliability.data.registry import open_data
    from reliability.evaluate.embed import BATCH
    from reliability.models.openclip import load_model
    from reliability.models.spec import parse_model
    from reliability.quant.prepare import RangeData, prepare
    from reliability.quant.recipe import parse_recipe

    torch.set_num_threads(1)
    model = load_model(parse_model("zoo:scenes-clean"))
    pairs = open_data("scenes").range_setting(512, 0)
    data = RangeData(model.to_input(pairs.images), model.tokenizer(pairs.captions))

    def forward(clip: torch.nn.Module) -> float:
        with torch.inference_mode():
            return _seconds(lambda: [clip.encode_image(part) for part in torch.split(data.images, BATCH)])  # type: ignore[operator]

    fp32 = forward(model.clip)
    rows = [("FP32 forward of scenes-clean, one thread", f"{512 / fp32:.0f} per second", "")]
    for name in ("w8a8-minmax", "w8a8-dynamic"):
        ratio = forward(prepare(model.clip, parse_recipe(name), data)) / fp32
        rows.append((f"simulated {name} forward over FP32", f"{ratio:.2f}", ""))
    return rows


def _bootstrap_rows() -> list[tuple[str, str, str]]:
    from sklearn.metrics import roc_auc_score

    from reliability.metrics import registry
    from reliability.stats.bootstrap import paired_replicates

    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 10_000), rng.normal(0, 1, 10_000)
    weighted = registry.get("auroc").weighted(inside, outside)
    ours = _seconds(lambda: paired_replicates([weighted], (10_000, 10_000), replicates=2000, seed=0), repeats=1)
    truth = np.r_[np.ones(10_000), np.zeros(10_000)]
    scores = np.r_[inside, outside]

    def loop() -> None:
        for _ in range(10):
            rows = rng.integers(20_000, size=20_000)
            roc_auc_score(truth[rows], scores[rows])

    theirs = _seconds(loop, repeats=1) * 200
    return [
        ("2,000 bootstrap replicates of AUROC, 10k + 10k, weights drawn before", f"{ours:.2f} s", ""),
        ("the same by a scikit-learn loop (10 measured, times 200), over ours", f"{theirs / ours:.0f}", ""),
    ]


def part_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    return [_render_row(), *_forward_rows(), *_bootstrap_rows()]
