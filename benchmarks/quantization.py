"""Simulated W8A8 of ViT-B-32's vision tower beside FP32 and other libraries, and GPTQ of the same tower."""

from __future__ import annotations

import copy
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.other_quantizers import Make, other_quantizers

Row = tuple[str, str, str]

_PICTURES = 8
_ROUNDS = 9
_GPTQ_PICTURES = 128
_THREADS = 2
_TARGETS = {"w8a8-minmax": "at most 1.3", "w8a8-dynamic": "at most 1.6"}
_OURS = {"static": "w8a8-minmax", "per token": "w8a8-dynamic"}


def quantization_rows() -> list[Row]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    return [*_simulation_rows(), *_gptq_rows()]


def _clip_and_data(pictures: int) -> tuple[Any, Any]:
    """ViT-B-32 with random weights, and random pairs."""
    import torch

    from reliability.quant.prepare import RangeData
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    import open_clip

    torch.manual_seed(0)
    clip = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    return clip, RangeData(torch.randn(pictures, 3, 224, 224), torch.zeros(pictures, 77, dtype=torch.int64))


def _prepared(clip: Any, name: str, data: Any) -> Any:
    from reliability.quant.prepare import prepare
    from reliability.quant.recipe import parse_recipe

    return prepare(clip, replace(parse_recipe(name), range_images=len(data.images)), data)


def _simulation_rows() -> list[Row]:
    import torch

    torch.set_num_threads(1)
    clip, data = _clip_and_data(_PICTURES)
    towers = {"FP32": clip.visual} | {name: _prepared(clip, name, data).visual for name in _TARGETS}
    others, missing = {}, []
    for name, make in other_quantizers().items():
        if make is None:
            missing.append((name, "not installed: make bench installs it", ""))
        else:
            others[name] = _with_quantizers(towers["w8a8-minmax"], make, data.images)
    times = _interleaved(towers | others, data.images)
    what = f"ViT-B-32's vision tower, {_PICTURES} pictures, one thread"
    rows = [(f"FP32 eager, {what}", f"{1e3 * statistics.median(times['FP32']):.0f} ms", "")]
    for name, target in _TARGETS.items():
        rows.append((f"simulated {name} forward over FP32", _ratio(times, name, "FP32"), target))
    for name in others:
        ours = _OURS[name.rpartition(", ")[2]]
        rows.append((f"the same tower with {name}, over FP32", _ratio(times, name, "FP32"), ""))
        rows.append((f"the same over {ours}", _ratio(times, name, ours), "above 1"))
    return rows + missing


def _ratio(times: Mapping[str, list[float]], name: str, other: str) -> str:
    """Median over rounds, since what else the machine does meets both alike."""
    return f"{statistics.median(a / b for a, b in zip(times[name], times[other], strict=True)):.2f}"


def _interleaved(towers: Mapping[str, Any], images: Any) -> dict[str, list[float]]:
    """Processor seconds of each forward pass, by turns, after one that is not counted."""
    import torch

    times: dict[str, list[float]] = {name: [] for name in towers}
    with torch.no_grad():
        for _ in range(_ROUNDS + 1):
            for name, tower in towers.items():
                started = time.process_time()
                tower(images)
                times[name].append(time.process_time() - started)
    return {name: found[1:] for name, found in times.items()}


def _with_quantizers(tower: Any, make: Make, images: Any) -> Any:
    """A copy of a quantized tower with others before its layers; weights are rounded already."""
    import torch

    from reliability.quant.layers import QuantConv2d, QuantLinear

    class FromFirstInput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.made: torch.nn.Module | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.made is None:
                self.made = make(x.abs().amax())
            return self.made(x)  # type: ignore[no-any-return]

    changed = copy.deepcopy(tower)
    for layer in changed.modules():
        if isinstance(layer, (QuantLinear, QuantConv2d)):
            layer.activation = FromFirstInput()
    with torch.no_grad():
        changed(images)
    return changed


def _gptq_rows() -> list[Row]:
    """In a process of its own, whose peak is GPTQ's."""
    command = [sys.executable, "-m", "benchmarks.quantization"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    what = f"w4a8-gptq of ViT-B-32's vision tower, {_GPTQ_PICTURES} pictures, {_THREADS} threads"
    return [
        (what, f"{found['seconds']:.0f} s", "at most 180 s"),
        ("processor time of the same, all threads", f"{found['processor_seconds']:.0f} s", ""),
        ("peak memory of the same", f"{found['peak_mib']:.0f} MiB", "at most 6144 MiB"),
    ]


def _gptq() -> dict[str, float]:
    import torch

    torch.set_num_threads(_THREADS)
    clip, data = _clip_and_data(_GPTQ_PICTURES)
    wall, processor = time.perf_counter(), time.process_time()
    _prepared(clip, "w4a8-gptq", data)
    return {
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_gptq()))
