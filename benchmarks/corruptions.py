"""Speed and memory of the corruptions, beside the ``imagecorruptions`` package where it is installed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers import make_importable
from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import COMMON, corrupt
from reliability.types import U8

SIDE = 224
_PICTURES = 8
_SLOW = "glass_blur"
"""Takes the package seconds per picture, so that fewer pictures have to do."""


def _stand_in_for_pkg_resources() -> ModuleType:
    module = ModuleType("pkg_resources")

    def resource_filename(package: str, name: str) -> str:
        return str(Path(str(sys.modules[package].__file__)).parent / name)

    module.resource_filename = resource_filename  # type: ignore[attr-defined]
    return module


@contextlib.contextmanager
def _setuptools_of_old() -> Iterator[None]:
    """Within this context ``pkg_resources`` can be imported; what asks for it later finds the truth again."""
    there = importlib.util.find_spec("pkg_resources") is not None
    if not there:
        sys.modules["pkg_resources"] = _stand_in_for_pkg_resources()
    try:
        yield
    finally:
        if not there:
            del sys.modules["pkg_resources"]


def published() -> ModuleType:
    """The ``imagecorruptions`` package, made to run beside today's NumPy, scikit-image and setuptools.

    Its last release names a NumPy type and a scikit-image argument that are gone,
    and imports a part of setuptools that is gone; all three are put back.

    Raises:
        ModuleNotFoundError: It, or what it needs, is not installed.
    """
    make_importable()
    if importlib.util.find_spec("imagecorruptions") is None:
        raise ModuleNotFoundError("imagecorruptions is not installed", name="imagecorruptions")
    with _setuptools_of_old():
        package = importlib.import_module("imagecorruptions")
    gaussian = importlib.import_module("skimage.filters").gaussian

    def gaussian_of_old(image: Any, sigma: float = 1, multichannel: bool = False, **options: Any) -> Any:
        return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)

    package.corruptions.gaussian = gaussian_of_old
    if not hasattr(np, "float_"):
        np.float_ = np.float64  # type: ignore[attr-defined]
    return package


def _scenes(count: int) -> list[U8]:
    from reliability.data.scenes.render import render
    from reliability.data.scenes.sample import sample

    return list(render(sample("benchmark", 0, np.arange(count)), SIDE))


def _ms_per_picture(work: Callable[[], object], pictures: int, repeats: int) -> float:
    """Processor time of all threads, so that what else runs on the machine counts for neither side."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * min(times) / pictures


def _ours_ms(name: str, images: list[U8]) -> float:
    ids = [str(i) for i in range(len(images))]
    corrupt(images[:1], name, 1, ids[:1], 0)
    times = [_ms_per_picture(lambda s=s: corrupt(images, name, s, ids, 0), len(images), 5) for s in SEVERITIES]  # type: ignore[misc]
    return float(np.mean(times))


def _theirs_ms(package: ModuleType, name: str, images: list[U8]) -> float:
    few, repeats = (images[:1], 1) if name == _SLOW else (images[:3], 5)

    def work(severity: int) -> None:
        for image in few:
            package.corrupt(image, corruption_name=name, severity=severity)

    return float(np.mean([_ms_per_picture(lambda s=s: work(s), len(few), repeats) for s in SEVERITIES]))  # type: ignore[misc]


def _peak_mib(count: int) -> float:
    """Memory beyond the pictures themselves, damaged or not, at its highest over the fifteen."""
    images = _scenes(1) * count
    ids, peaks = [str(i) for i in range(count)], []
    tracemalloc.start()
    for name in COMMON:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        damaged = corrupt(images, name, 3, ids, 0)
        peaks.append(tracemalloc.get_traced_memory()[1] - before - sum(image.nbytes for image in damaged))
    tracemalloc.stop()
    return max(peaks) / 2**20


def _total_row(ours: dict[str, float], theirs: dict[str, float], names: list[str], what: str) -> tuple[str, str, str]:
    speed, other = (1000 * len(names) / sum(times[name] for name in names) for times in (ours, theirs))
    return f"{what}, over imagecorruptions", f"{speed / other:.1f} ({speed:.0f} over {other:.1f} per second)", "5"


def _comparison(ours: dict[str, float], images: list[U8]) -> Iterator[tuple[str, str, str]]:
    try:
        package = published()
    except ModuleNotFoundError as error:
        yield "imagecorruptions", f"not compared: {error.name} is not installed", ""
        return
    with contextlib.redirect_stdout(None):
        theirs = {name: _theirs_ms(package, name, images) for name in COMMON}
    for name in COMMON:
        yield f"{name} at 224 px, over imagecorruptions", f"{theirs[name] / ours[name]:.1f}", ""
    yield _total_row(ours, theirs, list(COMMON), "pictures per second, all fifteen alike")
    yield _total_row(ours, theirs, [name for name in COMMON if name != _SLOW], "the same without glass_blur")


def corruption_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target."""
    images = _scenes(_PICTURES)
    ours = {name: _ours_ms(name, images) for name in COMMON}
    return [
        *((f"{name} at 224 px, per core", f"{1000 / ms:.0f} per second", "") for name, ms in ours.items()),
        *_comparison(ours, images),
        ("memory of 16 pictures beside themselves, worst of the fifteen", f"{_peak_mib(16):.0f} MiB", ""),
        ("the same of 64 pictures", f"{_peak_mib(64):.0f} MiB", "as of 16"),
    ]
