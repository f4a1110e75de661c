"""A pool of a few pictures, redder, greener or bluer by class, and a plan small enough to train in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reliability.torchvision_shim import ensure_torchvision_imports
from training.plans import Plan, Schedule
from training.pool import Pool

NAMES = ("cat", "dog", "owl")
TEMPLATES = ("a photo of a {c}.", "a {c}.")
VISIONS: dict[str, dict[str, Any]] = {
    "vit": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 4, "head_width": 8},
    "convnext": {
        "timm_model_name": "test_convnext", "timm_model_pretrained": False, "timm_pool": "avg",
        "timm_proj": "linear", "image_size": 32,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """What ``python -m training`` does first."""
    torch.set_num_threads(1)
    ensure_torchvision_imports()


@pytest.fixture
def pool() -> Pool:
    rng = np.random.default_rng(0)
    labels = rng.integers(len(NAMES), size=20)
    tint = 80 * np.eye(3, dtype=np.uint8)[labels][:, None, None, :]
    images = tint + rng.integers(0, 160, (20, 16, 16, 3), dtype=np.uint8)
    texts = [TEMPLATES[i % 2].format(c=NAMES[label]) for i, label in enumerate(labels)]
    return Pool(images, texts, NAMES, TEMPLATES, images[:6], labels[:6], flip=True)


@pytest.fixture
def plan() -> Callable[..., Plan]:
    def small(vision: str = "vit", **changes: Any) -> Plan:
        settings: dict[str, Any] = {
            "schedule": Schedule(steps=7, warmup=2, hold=4, batch=8),
            "statistics": ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
            "autocast": False,
        }
        return Plan(VISIONS[vision], "scenes-clean", **settings | changes)

    return small


@pytest.fixture
def tiny_imagenet(tmp_path: Path) -> Path:
    """A root with 200 named classes, three train pictures of each, and no test picture."""
    import io
    import tarfile

    from PIL import Image

    from reliability.data.benchmarks.tinyimagenet import UNSEEN

    folder = tmp_path / "tinyimagenet"
    (folder / "test").mkdir(parents=True)
    (folder / "train").mkdir()
    wnids = sorted([*UNSEEN, *(f"n99{number:06d}" for number in range(160))])
    (folder / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (folder / "classnames.txt").write_text("\n".join(f"class {number}" for number in range(200)) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES) + "\n")
    (folder / "train" / "nshards.txt").write_text("1")
    with tarfile.open(folder / "train" / "0.tar", "w") as tar:
        for number in range(600):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8), (number % 200, number // 200, 0)).save(picture, "PNG")
            for suffix, content in (("png", picture.getvalue()), ("cls", str(number % 200).encode())):
                member = tarfile.TarInfo(f"s{number:07d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return tmp_path
