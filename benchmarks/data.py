"""Decoding, and whether it keeps a model of real size busy."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reliability.types import ImageSource

_SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet1k-sample" / "val"
_PICTURES = 128
_REPEATS = 3


def _synthetic(folder: Path) -> Path:
    """JPEG files with as many pixels as ImageNet's photographs have on average, in two classes."""
    from PIL import Image

    from reliability.data.scenes.render import render
    from reliability.data.scenes.sample import sample

    for number, picture in enumerate(render(sample("benchmark", 0, np.arange(_PICTURES)), 432)):
        file = folder / ("ab"[number % 2]) / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(file, quality=90)
    return folder


def _source(folder: Path) -> ImageSource:
    from reliability.data.registry import open_data

    place = _SAMPLE if _SAMPLE.is_dir() else _synthetic(folder)
    return open_data(f"folder:{place}", limit=_PICTURES).sources["test"]


def _times(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one run."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def _model() -> Any:
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    import open_clip

    from reliability.models.openclip import ClipModel

    clip, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32")
    return ClipModel(clip.eval(), open_clip.get_tokenizer("ViT-B-32"), preprocess)


def _drain(source: ImageSource, use: Callable[[Any], object]) -> None:
    for batch in source.batches(32):
        use(batch.images)


def _end_to_end(model: Any, source: ImageSource, threads: int) -> list[tuple[str, str, str]]:
    import torch

    from reliability.evaluate.embed import BATCH, embed_images

    torch.set_num_threads(threads)
    inputs = [model.to_input(batch.images) for batch in source.batches(BATCH)]

    def bare() -> None:
        with torch.inference_mode():
            for pictures in inputs:
                model.clip.encode_image(pictures)

    def whole() -> None:
        embed_images(model.clip, model, source, "cpu")

    bare()
    # By turns, so that what else the machine does meets both alike.
    pairs = [(_times(whole), _times(bare)) for _ in range(_REPEATS)]
    wall, processor = (sorted(a[i] / b[i] for a, b in pairs)[_REPEATS // 2] for i in (0, 1))
    forward = len(inputs) * BATCH / pairs[0][1][0]
    return [
        (
            f"files to features over bare forward, ViT-B-32, torch threads: {threads}",
            f"{wall:.2f} (processor time {processor:.2f})",
            "at most 1.1",
        ),
        (f"bare forward of ViT-B-32, torch threads: {threads}", f"{forward:.0f} per second", ""),
    ]


def data_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        source, model = _source(Path(folder)), _model()
        _drain(source, len)
        _, decoded = _times(lambda: _drain(source, len))
        _, prepared = _times(lambda: _drain(source, model.to_input))
        rows = [
            ("JPEG files decoded, per core", f"{_PICTURES / decoded:.0f} per second", ""),
            ("decoded and preprocessed to 224 px, per core", f"{_PICTURES / prepared:.0f} per second", ""),
        ]
        for threads in (1, os.cpu_count() or 1):
            rows += _end_to_end(model, source, threads)
    return rows
