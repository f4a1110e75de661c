"""Metrics and their resamples, side by side with other libraries in one run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clock import seconds
from reliability.metrics import get, measure
from reliability.metrics.answers import read_answers
from reliability.stats.bootstrap import paired_replicates

_REPLICATES = 2000


def metric_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    return [*_auroc_replicates(), *_replicates_together(), *_one_pass(), *_large_auroc()]


def _scores(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(1, 1, n), rng.normal(0, 1, n)


def _labelled(n: int, classes: int) -> tuple[Any, Any]:
    """float32 logits and labels of which the largest logit gets about two thirds."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (n, classes)).astype(np.float32)
    guessed = rng.random(n) < 2 / 3
    return logits, np.where(guessed, logits.argmax(axis=1), rng.integers(0, classes, n))


def _auroc_replicates() -> list[tuple[str, str, str]]:
    from sklearn.metrics import roc_auc_score

    inside, outside = _scores(10_000)
    auroc = get("auroc")
    assert auroc.weighted is not None
    prepared = auroc.weighted(inside, outside)
    ours = seconds(lambda: paired_replicates([prepared], prepared.sizes, replicates=_REPLICATES), repeats=3)
    truth, scores = np.r_[np.ones(10_000), np.zeros(10_000)], np.r_[inside, outside]
    rng = np.random.default_rng(2)

    def loop() -> None:
        for _ in range(20):
            rows = rng.integers(20_000, size=20_000)
            roc_auc_score(truth[rows], scores[rows])

    theirs = seconds(loop, repeats=3) * _REPLICATES / 20
    return [
        ("2,000 replicates of AUROC, 10k + 10k, weights kept from a first use", f"{ours:.2f} s", "at most 1 s"),
        ("a scikit-learn loop (20 measured, times 100) over ours", f"{theirs / ours:.0f}", "at least 50"),
    ]


def _replicates_together() -> list[tuple[str, str, str]]:
    logits, labels = _labelled(10_000, 100)
    answers = read_answers("benchmark", logits, labels)
    names = ("ece", "nll", "brier", "top1")
    prepared = [get(name).prepare(answers) for name in names]
    prepared.append(get("aurc").prepare(answers.confidence, answers.correct))
    # A seed of its own for each call, so that drawing the weights is part of the time.
    seeds = iter(range(100, 200))
    ours = seconds(
        lambda: paired_replicates(prepared, (len(labels),), replicates=_REPLICATES, seed=next(seeds)), repeats=3
    )
    what = "2,000 replicates of ECE, NLL, Brier, top-1 and AURC together, 10k x 100, drawing included"
    return [(what, f"{ours:.2f} s", "at most 2 s")]


def _one_pass() -> list[tuple[str, str, str]]:
    import torch

    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

    logits, labels = _labelled(50_000, 1000)
    as_tensor, targets = torch.from_numpy(logits), torch.from_numpy(labels)

    def theirs() -> None:
        multiclass_calibration_error(as_tensor, targets, 1000, n_bins=15)
        multiclass_accuracy(as_tensor, targets, 1000, top_k=5, average="micro")
        torch.nn.functional.cross_entropy(as_tensor, targets)
        # torchmetrics has no Brier score of many classes; this is its definition.
        wanted = torch.nn.functional.one_hot(targets, 1000)
        ((as_tensor.softmax(1) - wanted) ** 2).sum(1).mean()

    names = ["ece", "nll", "brier", "top5"]
    ours = seconds(lambda: measure(names, logits, labels), repeats=3)
    ratio = seconds(theirs, repeats=3) / ours
    peak = _peak_bytes(lambda: measure(names, logits, labels)) / logits.nbytes
    return [
        ("ECE, NLL, Brier, top-5 of 50k x 1,000 float32 logits", f"{ours:.2f} s", ""),
        ("torchmetrics and torch, two threads, over ours, one thread", f"{ratio:.1f}", "at least 3"),
        ("memory beside the input, in times the input", f"{peak:.2f}", "at most 3"),
    ]


def _large_auroc() -> list[tuple[str, str, str]]:
    import torch
    from scipy.stats import mannwhitneyu
    from sklearn.metrics import roc_auc_score
    from torchmetrics.functional.classification import binary_auroc

    inside, outside = _scores(1_000_000)
    truth, scores = np.r_[np.ones(1_000_000, int), np.zeros(1_000_000, int)], np.r_[inside, outside]
    # In [0, 1], or torchmetrics would squash them; a strictly increasing map keeps the AUROC.
    unit, targets = torch.from_numpy(1 / (1 + np.exp(-scores))), torch.from_numpy(truth)
    others: dict[str, Callable[[], object]] = {
        "scikit-learn": lambda: roc_auc_score(truth, scores),
        "SciPy": lambda: mannwhitneyu(inside, outside),
        "torchmetrics": lambda: binary_auroc(unit, targets, validate_args=False),
    }
    ours = seconds(lambda: get("auroc").fn(inside, outside), repeats=3)
    ratios = {name: seconds(run, repeats=3) / ours for name, run in others.items()}
    peak = _peak_bytes(lambda: get("auroc").fn(inside, outside)) / (inside.nbytes + outside.nbytes)
    rows = [("AUROC of 1M + 1M float64 scores", f"{ours:.2f} s", "")]
    rows += [(f"{name} over ours", f"{ratio:.1f}", "at least 1") for name, ratio in ratios.items()]
    return [*rows, ("memory beside the input, in times the input", f"{peak:.2f}", "at most 3")]


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
