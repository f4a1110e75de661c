"""Let torchvision import where its compiled part cannot load.

The wheels on PyPI are built for CUDA. Beside a CPU-only torch their operators
do not register and ``import torchvision`` fails on a missing ``nms`` schema.
Declaring the two schemas is enough for transforms, data sets and models; the
operators themselves and ``torchvision.io`` stay unavailable and are not used.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import torch

_SCHEMA = "{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@lru_cache(maxsize=1)
def ensure_torchvision_imports() -> torch.library.Library | None:
    """Call before the first import of torchvision, timm or open_clip.

    Returns:
        The library that holds the declared schemas (it must stay alive, hence
        the cache), or None where torchvision's own operators load.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    compiled = Path(spec.origin).with_name("_C.so")
    if not compiled.exists() or hasattr(torch.ops.torchvision, "nms"):
        return None
    try:
        torch.ops.load_library(str(compiled))  # type: ignore[no-untyped-call]
    except OSError:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(_SCHEMA.format(name=name))  # type: ignore[no-untyped-call]
        return library
    return None
