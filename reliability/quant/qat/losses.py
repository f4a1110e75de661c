"""What a training minimises: terms that compare a student's embeddings with a teacher's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class Pairs:
    """[N, D] image features and text features as encoders give them, row by row of one pair."""

    image: Tensor
    text: Tensor

    @cached_property
    def unit(self) -> Pairs:
        """The same of unit length."""
        return Pairs(F.normalize(self.image, dim=1), F.normalize(self.text, dim=1))

    def rows(self, rows: Tensor) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.image[rows], self.text[rows])


@dataclass(frozen=True)
class Batch:
    """What a term looks at.

    Attributes:
        student, teacher: Of the same B pairs.
        temperature: Multiplies cosines to give logits.
    """

    student: Pairs
    teacher: Pairs
    temperature: Tensor


def total_loss(terms: str, batch: Batch) -> Tensor:
    """The sum of terms joined by ``+``, 0-d."""
    return torch.stack([TERMS[term](batch) for term in terms.split("+")]).sum()


def cosine(batch: Batch) -> Tensor:
    """Mean of 1 - cos(student, teacher) over images, plus that over texts."""
    ours, theirs = batch.student.unit, batch.teacher.unit
    images = (1 - (ours.image * theirs.image).sum(dim=1)).mean()
    return images + (1 - (ours.text * theirs.text).sum(dim=1)).mean()


def similarity(batch: Batch) -> Tensor:
    """Divergence of similarity rows and columns.

    Mean of KL(teacher || student) over the images' distributions of texts and over the
    texts' distributions of images, halved.
    """
    ours, theirs = _logits(batch.student, batch.temperature), _logits(batch.teacher, batch.temperature)
    return (_divergence(theirs, ours) + _divergence(theirs.T, ours.T)) / 2


def contrastive(batch: Batch) -> Tensor:
    """CLIP's own loss: cross-entropy of finding each image's caption, and each caption's image, halved.

    Conventions:
        Only a pair's own caption is right, also where two pairs have the same one. The
        teacher does not enter, except for the features of a tower that is not quantized.

    Source:
        Radford et al., ICML 2021 (arXiv 2103.00020), figure 3. No departure.
    """
    logits = _logits(batch.student, batch.temperature)
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def mse(batch: Batch) -> Tensor:
    """Squared distance of features before normalisation, over the teacher's squared length, images plus texts.

    The division makes it a share, so that the weight of the term does not depend on the
    magnitude of a model's features.
    """
    pairs = ((batch.student.image, batch.teacher.image), (batch.student.text, batch.teacher.text))
    images, texts = ((ours - theirs).square().sum() / theirs.square().sum() for ours, theirs in pairs)
    return images + texts


TERMS: dict[str, Callable[[Batch], Tensor]] = {
    "cosine": cosine,
    "similarity": similarity,
    "contrastive": contrastive,
    "mse": mse,
}
"""Name to term; names are checked against ``schemes.LOSS_TERMS``, which is read without torch."""


def _logits(pairs: Pairs, temperature: Tensor) -> Tensor:
    return temperature * pairs.unit.image @ pairs.unit.text.T


def _divergence(target: Tensor, logits: Tensor) -> Tensor:
    target, logits = target.log_softmax(dim=1), logits.log_softmax(dim=1)
    return F.kl_div(logits, target, reduction="batchmean", log_target=True)
