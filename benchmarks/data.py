"""Decoding, and whether it keeps a model of real size busy."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

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


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    work()
    return clock() - started


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


class _Waiting:
    """Stands before the prefetched inputs and adds up how long the model waits for them."""

    seconds = 0.0

    def __call__(self, items: Any) -> Generator[Any, None, None]:
        from reliability.data.parallel import prefetched

        made = prefetched(items)
        while True:
            started = time.perf_counter()
            item = next(made, None)
            self.seconds += time.perf_counter() - started
            if item is None:
                return
            yield item


def _end_to_end(model: Any, source: ImageSource, threads: int) -> list[tuple[str, str, str]]:
    import torch

    from reliability.evaluate.running import embed

    torch.set_num_threads(threads)
    inputs = [model.to_input(batch.images) for batch in source.batches(embed.BATCH)]
    waiting = _Waiting()

    def bare() -> None:
        with torch.inference_mode():
            for pictures in inputs:
                model.clip.encode_image(pictures)

    def whole() -> None:
        embed.embed_images(model.clip, model, source, "cpu")

    bare()
    with patch.object(embed, "prefetched", waiting):
        # By turns, so that what else the machine does meets both alike.
        pairs = [(_seconds(whole), _seconds(bare)) for _ in range(_REPEATS)]
    ratio = sorted(a / b for a, b in pairs)[_REPEATS // 2]
    forward = _PICTURES / min(b for _, b in pairs)
    waited = waiting.seconds / sum(a for a, _ in pairs)
    what = f"ViT-B-32, torch threads: {threads}"
    return [
        (f"files to features over bare forward, {what}", f"{ratio:.2f}", "at most 1.1"),
        (f"of that time the model waited for pictures, {what}", f"{waited:.1%}", ""),
        (f"bare forward, {what}", f"{forward:.0f} per second", ""),
    ]


def data_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        source, model = _source(Path(folder)), _model()
        _drain(source, len)
        # Processor time of all threads, so that what else runs on the machine does not count.
        decoded = _seconds(lambda: _drain(source, len), time.process_time)
        prepared = _seconds(lambda: _drain(source, model.to_input), time.process_time)
        rows = [
            ("JPEG files decoded, per core", f"{_PICTURES / decoded:.0f} per second", ""),
            ("decoded and preprocessed to 224 px, per core", f"{_PICTURES / prepared:.0f} per second", ""),
        ]
        for threads in (1, os.cpu_count() or 1):
            rows += _end_to_end(model, source, threads)
    return rows
