"""Small random CLIPs whose norms are far from the identity, so that wrong folding shows."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.prepare import RangeData
from reliability.torchvision_shim import ensure_torchvision_imports

VIT = {"image_size": 16, "layers": 2, "width": 32, "head_width": 16, "patch_size": 4}
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32}
TEXT = {"context_length": 8, "width": 32, "heads": 2, "layers": 2, "vocab_size": 40}
PAIRS = 24
END_OF_TEXT = 39


def build_clip(vision: dict[str, Any], text: dict[str, Any] = TEXT, seed: int = 0) -> nn.Module:
    ensure_torchvision_imports()
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    clip = CLIP(embed_dim=24, vision_cfg=vision, text_cfg=text).eval()
    for name, value in [*clip.named_parameters(), *clip.named_buffers()]:
        if ".bn" in name or "ln_" in name or "downsample.1" in name:
            _perturb(name, value)
        elif name.endswith("bias"):
            value.data.normal_(0, 0.2)
    return clip


def _perturb(name: str, value: Tensor) -> None:
    if name.endswith(("weight", "running_var")):
        value.data.uniform_(0.3, 2.0)
    elif value.is_floating_point():
        value.data.normal_(0, 0.3)


def build_tokens(count: int, seed: int = 0) -> Tensor:
    """[count, 8] texts of 2 to 7 tokens: words, end of text, padding."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, END_OF_TEXT - 1, (count, 8), generator=generator)
    ends = torch.randint(2, 8, (count,), generator=generator)
    position = torch.arange(8)
    tokens[position > ends[:, None]] = 0
    tokens[position == ends[:, None]] = END_OF_TEXT
    return tokens


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def slow_quant() -> SimpleNamespace:
    """Number formats by enumeration."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "oracles" / "slow_quant.py")))


@pytest.fixture(scope="session")
def vit() -> nn.Module:
    return build_clip(VIT)


@pytest.fixture(scope="session")
def resnet() -> nn.Module:
    return build_clip(RESNET)


@pytest.fixture(scope="session")
def packed_vit() -> nn.Module:
    """Attention of open_clip's own making, whose packed weight is no layer."""
    return build_clip(VIT | {"qk_norm": True})


@pytest.fixture(scope="session", params=["vit", "resnet"])
def clip(request: pytest.FixtureRequest) -> nn.Module:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def tokens() -> Tensor:
    return build_tokens(PAIRS)


@pytest.fixture(scope="session")
def small_data(tokens: Tensor) -> RangeData:
    images = torch.randn(PAIRS, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return RangeData(images, tokens)


@pytest.fixture(scope="session")
def data(clip: nn.Module, tokens: Tensor, small_data: RangeData) -> RangeData:
    """Pairs of the size that the parametrized model takes."""
    if clip.visual.image_size == (16, 16):
        return small_data
    return RangeData(torch.randn(PAIRS, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
