"""A candidate that the user brings: a model, not a recipe. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reliability.errors import UsageError
from reliability.models.record import BOTH, ModelSpec, Tower


@dataclass(frozen=True)
class OwnCandidate:
    """A model that is held against a reference; it answers what a recipe is asked too.

    Attributes:
        name: As cases, reports and the ``recipe`` patterns of bounds know it.
        spec: The model.
    """

    name: str
    spec: ModelSpec

    @property
    def is_float(self) -> bool:
        """False: it is judged as something else than the reference, whatever its numbers are."""
        return False

    def changes(self, tower: Tower) -> bool:
        """Whether it brings this encoder; the other one is the reference's."""
        return self.spec.brings(tower)

    def quantizes(self, tower: Tower) -> bool:
        """Whether features equal to the reference's in every bit would mean a mistake."""
        return self.changes(tower)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its features depend on, beside the reference's preprocessing."""
        return {"own": dict(self.spec.identity)}

    @property
    def stored_bytes(self) -> int:
        """Size of its files.

        Raises:
            UsageError: It is no whole model in files.
        """
        files = self.spec.files or ((self.spec.checkpoint,) if self.spec.checkpoint else ())
        if not files or self.spec.kind == "embeddings" or not all(self.changes(tower) for tower in BOTH):
            raise UsageError(
                where=f"candidate {self.name}", what="only a whole model in files has a size to compare",
                got=self.spec.text, next="give both encoders, or narrow the bound to other candidates",
            )  # fmt: skip
        return sum(path.stat().st_size for path in files)

    def note(self, reference: str) -> str:
        """One sentence for the report on where its features come from."""
        said = (
            f"candidate {self.name} is {self.spec.shown}, held against {reference} as it is, without a proof of what "
            "runs quantized"
        )
        borrowed = [what for tower, what in _BORROWED.items() if not self.changes(tower)]
        return f"{said}; its {' and '.join(borrowed)} come from the reference" if borrowed else said


_BORROWED: dict[Tower, str] = {
    "vision": "image features",
    "text": "text features and logit scale",
}
