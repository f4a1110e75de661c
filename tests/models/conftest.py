"""A tiny architecture that open_clip knows by name, with random weights."""

from __future__ import annotations

import json
from typing import Any

import pytest

ARCHITECTURE = "tiny-for-tests"
CONFIG = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of the tiny architecture; not to be changed."""
    import torch

    from reliability.torchvision_shim import ensure_torchvision_imports

    torch.set_num_threads(1)
    ensure_torchvision_imports()
    import open_clip

    path = tmp_path_factory.mktemp("architectures") / f"{ARCHITECTURE}.json"
    path.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(path)
    torch.manual_seed(0)
    return open_clip.create_model(ARCHITECTURE).eval()
