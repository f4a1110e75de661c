"""What a comparison reads from the cache, one entry at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reliability.evaluate.running.candidate import Candidate
from reliability.models.spec import ModelSpec
from reliability.types import PromptSet

Kind = Literal["image", "text", "prepared", "proof", "size", "layers", "weights"]


@dataclass(frozen=True)
class Need:
    """One entry of the cache.

    Attributes:
        kind: Features of a source, those of prompts, what is known of a candidate itself, or what is to be had
            inside of it, features of its ``layers`` on a source or spectra of its ``weights``.
        model: The reference.
        candidate: What is run, which may be the reference itself.
        source: Of the pictures, where it is about any.
        prompts: The texts, where it is about any.
    """

    kind: Kind
    model: ModelSpec
    candidate: Candidate
    source: str = ""
    prompts: PromptSet | None = None

    @property
    def name(self) -> str:
        """Short, for messages."""
        about = self.source or self.kind
        return f"{self.model.name}, {self.candidate.name}, {about}"
