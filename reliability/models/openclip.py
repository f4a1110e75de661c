"""Load open_clip models, embedded ones and published ones, behind one adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
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

    Conventions:
        A model of the sigmoid loss has a ``logit_bias`` besides, which is loaded with the
        other weights and moves nothing that is judged: one constant added to all logits
        of a picture leaves its softmax, and so every confidence, as it was, and shifts
        the logit scores of all pictures alike. Confidence is the softmax over the class
        names for such a model too, not the sigmoid of one pair, although its logit scale
        was trained for the latter.
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
    """Read weights from safetensors, or from a torch file with ``weights_only``.

    Raises:
        ModelError: The file cannot be read, needs code to be read, or holds no state dict.
    """
    try:
        is_safetensors = path.suffix == ".safetensors"
        state = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged torch file makes the unpickler raise nearly any type.
        raise _bad_checkpoint(path, "the checkpoint cannot be read", error) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(_is_weight(*item) for item in state.items()):
        raise _bad_checkpoint(path, "the checkpoint holds no state dict of tensors", type(state).__name__)
    return {key.removeprefix("module."): value for key, value in state.items()}


def _is_weight(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, torch.Tensor)


def _bad_checkpoint(path: Path, what: str, got: object) -> ModelError:
    # Only the first sentence: torch's goes on to recommend loading the file with code.
    text = f"{type(got).__name__}: {str(got).partition('. ')[0]}" if isinstance(got, Exception) else got
    return ModelError(
        where=str(path),
        what=what,
        got=text,
        next="fetch it again; only safetensors, and torch files of plain tensors, are read",
    )


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
    clip = CLIP(**cfg)
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
    """Build the architecture, with published weights where no checkpoint is given.

    A tag named beside a checkpoint still says how its pictures are preprocessed.
    """
    import open_clip

    published = (open_clip.get_pretrained_cfg(spec.architecture, spec.tag) or {}) if spec.checkpoint else {}
    _check_activation(spec)
    try:
        clip, _, preprocess = open_clip.create_model_and_transforms(
            spec.architecture,
            pretrained=None if spec.checkpoint is not None else spec.tag,
            image_mean=published.get("mean"),
            image_std=published.get("std"),
            image_interpolation=published.get("interpolation"),
            image_resize_mode=published.get("resize_mode"),
        )
    except Exception as error:
        # Hub clients raise many unrelated types when there is no network or no such tag.
        raise ModelError(
            where=f"open_clip:{spec.architecture}/{spec.tag}",
            what="the published weights could not be fetched",
            got=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
            next=_how_to_fetch(spec),
        ) from error
    return clip, preprocess


def _check_activation(spec: ModelSpec) -> None:
    """Weights trained with QuickGELU are wrong under GELU, and open_clip only warns."""
    import open_clip

    published = open_clip.get_pretrained_cfg(spec.architecture, spec.tag) or {}
    wanted = bool(published.get("quick_gelu", False))
    built = bool((open_clip.get_model_config(spec.architecture) or {}).get("quick_gelu", False))
    if published and wanted and not built:
        raise ModelError(
            where=f"open_clip:{spec.architecture}/{spec.tag}",
            what="these weights were trained with QuickGELU, which this architecture does not use",
            got=spec.architecture,
            next=f"name open_clip:{spec.architecture}-quickgelu/{spec.tag}",
        )


def _how_to_fetch(spec: ModelSpec) -> str:
    import open_clip

    published = open_clip.get_pretrained_cfg(spec.architecture, spec.tag) or {}
    if not published:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.architecture)[:8])
        return f"{spec.tag!r} is no tag of {spec.architecture}; known: {tags or 'none'}"
    source = published.get("hf_hub") or published.get("url") or "its publisher"
    return f"on a machine with a network fetch {source}, then name the file with --checkpoint FILE"
