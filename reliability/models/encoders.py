"""Encoders of a model that another toolkit made, and the whole CLIP they become beside a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from reliability.errors import ModelError
from reliability.models.openclip import ClipModel

Encoder = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Encoders:
    """What a model brings; None stands for what it takes over from the reference.

    Attributes:
        where: What to call it in messages.
        encode_image: Preprocessed pictures [B, 3, S, S] float32 to features [B, D].
        encode_text: Tokens [B, L] int64 to features [B, D].
        logit_scale: What cosines are multiplied by; not its logarithm.
        tokenizer, preprocess: As in :class:`ClipModel`.
    """

    where: str
    encode_image: Encoder | None = None
    encode_text: Encoder | None = None
    logit_scale: float | None = None
    tokenizer: Callable[[Sequence[str]], Tensor] | None = None
    preprocess: Callable[[Image.Image], Tensor] | None = None

    def beside(self, reference: ClipModel) -> ClipModel:
        """A whole model, where what is lacking is the reference's."""
        return ClipModel(
            Checked(self, reference),
            self.tokenizer or reference.tokenizer,
            self.preprocess or reference.preprocess,
        )

    def alone(self) -> ClipModel:
        """A whole model, for a reference.

        Raises:
            ModelError: It lacks an encoder, its logit scale, a tokenizer or preprocessing.
        """
        missing = [name for name in self.__dataclass_fields__ if getattr(self, name) is None]
        if missing or self.tokenizer is None or self.preprocess is None:
            raise ModelError(
                where=self.where, what="a reference has all that a CLIP needs, and this model has no",
                got=", ".join(missing), next="name it with --candidate beside a reference that has it",
            )  # fmt: skip
        return ClipModel(Checked(self, None), self.tokenizer, self.preprocess)


class Checked:
    """Looks like a CLIP to the embedding step, and says in words what a foreign encoder did wrong.

    Args:
        encoders: The model.
        reference: Gives the encoder that the model does not bring.
    """

    def __init__(self, encoders: Encoders, reference: ClipModel | None) -> None:
        self._encoders, self._reference = encoders, reference

    @property
    def logit_scale(self) -> Tensor:
        """Natural logarithm, as open_clip keeps it."""
        scale = self._encoders.logit_scale
        if scale is None:
            assert self._reference is not None
            logarithm: Tensor = self._reference.clip.logit_scale
            return logarithm
        return torch.tensor(math.log(scale), dtype=torch.float64)

    def encode_image(self, pictures: Tensor) -> Tensor:
        """[B, 3, S, S] to [B, D] float32."""
        if self._encoders.encode_image is None:
            assert self._reference is not None
            return self._reference.clip.encode_image(pictures)  # type: ignore[no-any-return]
        return self._run(self._encoders.encode_image, pictures, "image")

    def encode_text(self, tokens: Tensor) -> Tensor:
        """[B, L] to [B, D] float32."""
        if self._encoders.encode_text is None:
            assert self._reference is not None
            return self._reference.clip.encode_text(tokens)  # type: ignore[no-any-return]
        return self._run(self._encoders.encode_text, tokens, "text")

    def _run(self, encode: Encoder, batch: Tensor, what: str) -> Tensor:
        try:
            features = encode(batch)
        except ModelError:
            raise
        except Exception as error:
            # A foreign runtime raises types of its own.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ModelError(
                where=self._encoders.where, what=f"its {what} encoder failed on a batch of shape {tuple(batch.shape)}",
                got=f"{type(error).__name__}: {lines[0] if lines else ''}",
                next="export it for the reference's picture size, context length and preprocessing",
            ) from error  # fmt: skip
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(batch):
            raise ModelError(
                where=self._encoders.where, what=f"its {what} encoder must give one feature vector per row",
                got=f"{shape} for {len(batch)} rows",
                next="export the projected embedding [batch, dimension], such as encode_image's own result",
            )  # fmt: skip
        return features.float()


def in_fixed_batches(encode: Encoder, size: int) -> Encoder:
    """An encoder that takes any number of rows, from one that takes exactly ``size``; the last batch is filled up."""

    def run(batch: Tensor) -> Tensor:
        rows = []
        for part in torch.split(batch, size):
            filled = torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])
            rows.append(encode(filled)[: len(part)])
        return torch.cat(rows)

    return run
