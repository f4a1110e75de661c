"""``hf:DIR``: a local folder of a transformers CLIP or SigLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliability.errors import ModelError
from reliability.models.extras import require
from reliability.models.record import Asked, ModelSpec

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from reliability.models.encoders import Encoders

_CONFIG = "config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_PREPROCESSOR = "preprocessor_config.json"
_TEXT_LENGTH = 64


def parse(asked: Asked) -> ModelSpec:
    """Find the folder; every file in it counts as the model's."""
    folder = asked.folder()
    if not (folder / _CONFIG).is_file():
        raise ModelError(
            where=asked.where, what="the folder holds no transformers model", got=f"no {_CONFIG} in {folder}",
            next="save the model with save_pretrained, and its processor too",
        )  # fmt: skip
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    return ModelSpec("hf", folder.resolve().name, asked.rest, files=files, packages=("transformers", "tokenizers"))


def load(spec: ModelSpec) -> Encoders:
    """Load model, tokenizer and image processor from the folder; nothing is fetched, and no code of the folder runs.

    Conventions:
        Weights are read from safetensors only. Without a tokenizer or an image processor in
        the folder, the reference's serve. SigLIP's logit bias is left out: it moves no
        softmax.
    """
    import torch

    from reliability.models.encoders import Encoders
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    transformers = require("transformers", "hf", spec.text)
    folder = spec.files[0].parent
    settings = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **settings)
        tokenizer = _tokenizer(transformers, folder, model, settings)
        preprocess = _preprocess(transformers, folder, settings)
    except Exception as error:
        # The library raises OSError, ValueError, KeyError and others for one bad folder.
        raise ModelError(
            where=spec.text, what="transformers cannot load this folder",
            got=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
            next="save it with save_pretrained(DIR, safe_serialization=True)",
        ) from error  # fmt: skip
    if not all(hasattr(model, name) for name in ("get_image_features", "get_text_features", "logit_scale")):
        raise ModelError(
            where=spec.text, what="not a CLIP or SigLIP", got=type(model).__name__,
            next="name a folder with both encoders and a logit scale",
        )  # fmt: skip
    model.eval()
    scale = float(model.logit_scale.detach().double().exp())
    image, text = _features(model.get_image_features), _features(model.get_text_features)
    return Encoders(spec.text, image, text, scale, tokenizer, preprocess)


def _features(encode: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    """Embeddings, which newer versions of transformers return inside a record."""

    def run(batch: Tensor) -> Tensor:
        found = encode(batch)
        return getattr(found, "pooler_output", found)  # type: ignore[no-any-return]

    return run


def _tokenizer(transformers: Any, folder: Path, model: Any, settings: dict[str, Any]) -> Any:
    if not any((folder / name).exists() for name in _TOKENIZER):
        return None
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **settings)
    length = getattr(model.config.text_config, "max_position_embeddings", _TEXT_LENGTH)

    def tokenize(texts: Sequence[str]) -> Tensor:
        found = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        return found["input_ids"]  # type: ignore[no-any-return]

    return tokenize


def _preprocess(transformers: Any, folder: Path, settings: dict[str, Any]) -> Any:
    if not (folder / _PREPROCESSOR).exists():
        return None
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **settings)

    def preprocess(picture: Image.Image) -> Tensor:
        return processor(images=picture, return_tensors="pt")["pixel_values"][0]  # type: ignore[no-any-return]

    return preprocess
