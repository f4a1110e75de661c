"""What is held against a reference. Imports no torch."""

from __future__ import annotations

from reliability.errors import ModelError
from reliability.models.own import OwnCandidate
from reliability.quant.recipe import Recipe
from reliability.types import F32

Candidate = Recipe | OwnCandidate
"""A recipe applied to the reference, or a model of the user's own."""


def check_own(candidate: OwnCandidate, features: tuple[F32, F32, F32], same_images: bool, same_text: bool) -> None:
    """A model of the user's own fits the reference, and is another one.

    Args:
        candidate: For messages, and for the encoders that it brings.
        features: The reference's of pictures, the candidate's of pictures and of texts.
        same_images, same_text: Whether they equal the reference's in every bit.

    Raises:
        ModelError: Dimensions differ, or every encoder it brings gives the reference's own bits.
    """
    reference, image, text = (found.shape[1] for found in features)
    if not reference == image == text:
        raise ModelError(
            where=f"candidate {candidate.name}",
            what="its features have another dimension than the reference's",
            got=f"pictures {image}, texts {text}; the reference {reference}",
            next="export the projected embeddings, and name the model that this one was made from as --reference",
        )
    if (same_images or not candidate.changes("vision")) and (same_text or not candidate.changes("text")):
        raise ModelError(
            where=f"candidate {candidate.name}",
            what="its embeddings equal the reference's in every bit",
            got=candidate.spec.shown,
            next="see that this is the quantized model; judge a model against itself with --recipes fp32",
        )
