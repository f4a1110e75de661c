"""Parts of the gate: rendering and forward passes."""

from __future__ import annotations

import numpy as np

from benchmarks.clock import seconds


def _render_row() -> tuple[str, str, str]:
    from reliability.data.scenes.render import render
    from reliability.data.scenes.sample import sample

    scenes = sample("benchmark", 0, np.arange(1000))
    return "scenes rendered at 32 px, one thread", f"{1000 / seconds(lambda: render(scenes, 32)):.0f} per second", ""


def _forward_rows() -> list[tuple[str, str, str]]:
    import torch

    from reliability.data.registry import open_data
    from reliability.evaluate.running.embed import BATCH
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
            return seconds(lambda: [clip.encode_image(part) for part in torch.split(data.images, BATCH)])  # type: ignore[operator]

    fp32 = forward(model.clip)
    rows = [("FP32 forward of scenes-clean, one thread", f"{512 / fp32:.0f} per second", "")]
    for name in ("w8a8-minmax", "w8a8-dynamic"):
        ratio = forward(prepare(model.clip, parse_recipe(name), data)) / fp32
        rows.append((f"simulated {name} forward over FP32", f"{ratio:.2f}", ""))
    return rows


def part_rows() -> list[tuple[str, str, str]]:
    """Rows of what was measured, the measurement, and the target where there is one."""
    return [_render_row(), *_forward_rows()]
