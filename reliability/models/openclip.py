"""Load open_clip models, embedded ones and published ones, behind one adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from reliability.errors import ModelError
from reliability.models.reduced_tokenizer import ReducedTokenizer
from reliability.models.spec import ModelSpec
from reliability.models.zoo import zoo_config
from reliability.torchvision_shim import ensure_torchvision_imports
from reliability.types import U8


@dataclass(frozen=True)
class ClipModel:
    """A CLIP with what it needs to read pictures and texts.

    Attributes:
        clip: Has ``encode_image``, ``encode_text`` and ``logit_scale``; evaluation mode.
        tokenizer: Texts to int64 [N, L].
        preprocess: PIL picture to float32 [3, S, S], the model's own evaluation transform.
    """

    clip: Any
    tokenizer: Callable[[Sequence[str]], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]

    def to_input(self, images: Sequence[U8]) -> torch.Tensor:
        """Preprocess RGB arrays [H, W, 3] to one float32 batch [B, 3, S, S]."""
        return torch.stack([self.preprocess(Image.fromarray(image)) for image in images])


def load_model(spec: ModelSpec) -> ClipModel:
    """Load the model that a specification names, in float32, on the CPU.

    Raises:
        ModelError: Unknown architecture, weights that are missing, corrupt or of
            other shapes, or weights that are not finite.
    """
    ensure_torchvision_imports()
    model = _load_zoo(spec) if spec.kind == "zoo" else _load_open_clip(spec)
    model.clip.float().eval()
    for name, value in model.clip.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(
                where=f"{spec.name}, tensor {name}",
                what="weights are not finite",
                got=f"{int((~torch.isfinite(value)).sum())} of {value.numel()} values",
                next="the checkpoint is damaged or diverged; fetch or train it again",
            )
    return model


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read weights from safetensors, or from a torch file with ``weights_only``."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, _unpickling_error()) as error:
        raise ModelError(
            where=str(path),
            what="the checkpoint cannot be read",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            next="fetch it again; only safetensors and weights_only torch files are read",
        ) from error
    state = state.get("state_dict", state)
    return {key.removeprefix("module."): value for key, value in state.items()}


def _unpickling_error() -> type[Exception]:
    import pickle

    return pickle.UnpicklingError


def _load_state(clip: Any, state: dict[str, torch.Tensor], where: str) -> None:
    try:
        missing, unexpected = clip.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(
            where=where, what="the weights do not fit the architecture", got=str(error).splitlines()[-1].strip(),
            next="name the architecture that the checkpoint was trained with",
        ) from error  # fmt: skip
    # A causal mask is a buffer that open_clip rebuilds; everything else must be there.
    wrong = [key for key in (*missing, *unexpected) if not key.endswith(("attn_mask", "num_batches_tracked"))]
    if wrong:
        raise ModelError(
            where=where,
            what="the weights do not fit the architecture",
            got=f"missing or unexpected: {', '.join(wrong[:4])}",
            next="name the architecture that the checkpoint was trained with",
        )


def _load_zoo(spec: ModelSpec) -> ClipModel:
    from open_clip.model import CLIP
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = zoo_config(spec.architecture)
    cfg = config["model_cfg"]
    clip = CLIP(embed_dim=cfg["embed_dim"], vision_cfg=cfg["vision_cfg"], text_cfg=cfg["text_cfg"])
    assert spec.checkpoint is not None
    _load_state(clip, read_state(spec.checkpoint), str(spec.checkpoint))
    preprocess = PreprocessCfg(**config["preprocess_cfg"], size=cfg["vision_cfg"]["image_size"])
    tokenizer = ReducedTokenizer(config["token_ids"], cfg["text_cfg"]["context_length"])
    return ClipModel(clip, tokenizer, image_transform_v2(preprocess, is_train=False))


def _load_open_clip(spec: ModelSpec) -> ClipModel:
    import open_clip

    if spec.architecture not in open_clip.list_models():
        raise ModelError(
            where=f"open_clip:{spec.architecture}", what="open_clip has no such architecture", got=spec.architecture,
            next="see open_clip.list_models()",
        )  # fmt: skip
    clip, preprocess = _create(spec)
    if spec.checkpoint is not None:
        _load_state(clip, read_state(spec.checkpoint), str(spec.checkpoint))
    return ClipModel(clip, open_clip.get_tokenizer(spec.architecture), preprocess)


def _create(spec: ModelSpec) -> tuple[Any, Callable[[Image.Image], torch.Tensor]]:
    """Build the architecture, with published weights where no checkpoint is given."""
    import open_clip

    pretrained = None if spec.checkpoint is not None else spec.tag
    try:
        clip, _, preprocess = open_clip.create_model_and_transforms(spec.architecture, pretrained=pretrained)
    except Exception as error:
        # Hub clients raise many unrelated types when there is no network or no such tag.
        raise ModelError(
            where=f"open_clip:{spec.architecture}/{spec.tag}",
            what="the published weights could not be fetched",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            next=_how_to_fetch(spec),
        ) from error
    return clip, preprocess


def _how_to_fetch(spec: ModelSpec) -> str:
    import open_clip

    published = open_clip.get_pretrained_cfg(spec.architecture, spec.tag) or {}
    if not published:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.architecture)[:8])
        return f"{spec.tag!r} is no tag of {spec.architecture}; known: {tags or 'none'}"
    source = published.get("hf_hub") or published.get("url") or "its publisher"
    return f"on a machine with a network fetch {source}, then name the file with --checkpoint FILE"


def normalised(features: torch.Tensor) -> np.ndarray:
    """Rows to unit length, as float32 NumPy."""
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()
