"""Names of recipes, corruptions and figures that the study is about; imports nothing, so that reports can."""

from __future__ import annotations

WIDE, NARROW = "w8a8", "w4a8"
BITS = (WIDE, NARROW)
PTQ, ROTATED, QAT, NOISE_ARM = "minmax", "hadamard", "lsq", "noise"
"""Round to nearest; the same after a rotation; training with learned steps; training with noise and no grid."""
ROTATED_QAT = f"{ROTATED}+{QAT}"
SHIPPED = (*(f"{bits}-{method}" for bits in BITS for method in (PTQ, ROTATED, QAT)), f"{WIDE}-{ROTATED_QAT}")
"""Candidates that someone could ship, the vision tower alone quantized."""
TRAINED = tuple(name for name in SHIPPED if name.endswith(QAT))
CORRUPTIONS = ("gaussian_noise", "defocus_blur", "frost", "jpeg_compression")
"""One of each family of the benchmark."""
SEVERITIES = (1, 3, 5)
NOISE = "noise"
"""In place of a task: all pictures under these corruptions at these severities."""

FEATURES, VALUES, SIGN, PARETO, SEVERITY, FREQUENCIES, WEIGHTS = (
    "signal-to-noise", "singular-values", "ece-change", "pareto", "severity", "frequencies", "weights",
)  # fmt: skip
"""Figures that curves belong to."""
