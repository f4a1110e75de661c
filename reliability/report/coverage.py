"""What of each candidate ran quantized: the tables of the coverage proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from reliability.claims.records import CaseResult, RecordError
from reliability.errors import ReliabilityError
from reliability.quant.backends.registry import SUFFIX
from reliability.quant.proof import Part, Proof
from reliability.report.escape import escape, unbroken
from reliability.report.tables import markdown_table

MOST_LAYERS = 5
"""Worst layers that a report shows of each candidate."""

HOW = (
    "Multiply-accumulates are those of one picture and one text in the towers that the recipe names. A part that is "
    "not as the recipe declares is a fault. Saturated and clipped are shares of a layer's inputs, on the first "
    "range-setting pairs, not on the pictures that were judged; worst layer of each."
)
ON_BACKEND = "Of a recipe on a backend it is the simulation whose codes and scales its kernels were given."
SUMMARY = (
    "multiply-accumulates", "quantized", "as declared", "faults", "clipped", "saturated", "bits per weight",
    "MiB (FP32)", "left in float by declaration",
)  # fmt: skip
"""What is said of each candidate."""
_LAYER_HEADER = ["layer", "multiply-accumulates", "ran", "fault", "clipped", "saturated"]


def proofs(results: Sequence[CaseResult]) -> dict[tuple[str, str], Proof]:
    """The proof of each (model, recipe) that a case brought one for.

    Raises:
        RecordError: A stored proof is none.
    """
    return {(r.model, r.recipe): proof for r in results if (proof := proof_of(r)) is not None}


def proof_of(result: CaseResult) -> Proof | None:
    """The proof that came with a case, None without one.

    Raises:
        RecordError: What is stored is none.
    """
    stored = result.verdict.comparison.details.get("coverage") if result.verdict is not None else None
    if stored is None:
        return None
    try:
        proof = Proof.from_dict(stored)
        _ = proof.macs
    except (KeyError, TypeError, ValueError, ReliabilityError) as error:
        raise RecordError(
            where=result.case,
            what="its coverage proof cannot be read",
            got=f"{type(error).__name__}: {error}",
            next="run the suites again to rebuild it",
        ) from error
    return proof


def coverage_section(found: Mapping[tuple[str, str], Proof]) -> str:
    """One row per candidate, then the worst layers of each."""
    if not found:
        return ""
    rows = [
        [escape(model), escape(recipe), *map(unbroken, figures), escape(left)]
        for (model, recipe), proof in found.items()
        for *figures, left in [summary_cells(proof)]
    ]
    worst = [
        [escape(recipe), *map(escape, _layer_row(part))]
        for (_, recipe), proof in found.items()
        for part in proof.worst(MOST_LAYERS)
    ]
    parts = [how_counted(found), markdown_table(["model", "recipe", *SUMMARY], rows, numbers=range(2, 10))]
    if worst:
        parts += [f"At most {MOST_LAYERS} layers of each candidate: with a fault, or that clip most.",
                  markdown_table(["recipe", *_LAYER_HEADER], worst, numbers=range(2, 7))]  # fmt: skip
    return "\n\n".join(parts)


def coverage_lines(proof: Proof) -> list[str]:
    """The proof of one candidate, for a terminal: every layer with a fault, and those that clip or saturate most."""
    shown = max(MOST_LAYERS, len(proof.faulty))
    table = tabulate(
        [_layer_row(part) for part in proof.worst(shown)], _LAYER_HEADER, tablefmt="simple", disable_numparse=True
    )
    return [
        f"  {proof.macs:,} multiply-accumulates ({proof.towers}), {_share(proof.quantized_share)} quantized, "
        f"{_share(proof.declared_share)} as declared, {len(proof.faulty)} faults",
        f"  {proof.bits_per_weight:.2f} bits per weight, {proof.size_mib:.2f} MiB (FP32 {proof.float_size_mib:.2f})",
        f"  in float by declaration: {'; '.join(proof.left_float())}",
        *(table.splitlines() if proof.worst(1) else []),
    ]


def how_counted(found: Mapping[tuple[str, str], Proof]) -> str:
    """What the figures of these proofs are about."""
    return f"{HOW} {ON_BACKEND}" if any(SUFFIX in recipe for _, recipe in found) else HOW


def summary_cells(proof: Proof) -> list[str]:
    """One candidate's proof in the columns of :data:`SUMMARY`, as plain text."""
    return [
        f"{proof.macs:,}", _share(proof.quantized_share), _share(proof.declared_share), str(len(proof.faulty)),
        _share(proof.clipped), _share(proof.saturated), f"{proof.bits_per_weight:.2f}",
        f"{proof.size_mib:.2f} ({proof.float_size_mib:.2f})", "; ".join(proof.left_float()),
    ]  # fmt: skip


def _layer_row(part: Part) -> list[str]:
    ran = "quantized" if part.quantized else "float"
    return [part.name, f"{part.macs:,}", ran, part.fault, _share(part.clipped), _share(part.saturated)]


def _share(value: float | None) -> str:
    """In percent; what is neither none nor all never looks like it."""
    if value is None:
        return "\N{EM DASH}"
    digits = next((d for d in range(2, 8) if value in (0.0, 1.0) or 0.0 < round(100 * value, d) < 100.0), 8)
    return f"{100 * value:.{digits}f} %"
