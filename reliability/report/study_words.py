"""How the study's figures are shown, and what each claim asks."""

from __future__ import annotations

from reliability.report.words import RATE, RAW, Unit, unit_of
from reliability.study.finding import Effect

_SHARE, _NUMBER, _CORRELATION = Unit(100.0, " %", " %", 1), Unit(1.0, "", "", 1), Unit(1.0, "", "", 3)
_UNITS = {
    "relative_accuracy": _SHARE, "share": _SHARE, "relative_spurious_gap": _SHARE, "added_vulnerability": _SHARE,
    "directions": _NUMBER, "noise_rank_correlation": _CORRELATION, "effective_rank": _NUMBER,
    "effective_rank_centred": _NUMBER, "p_value": RAW, "high_frequency_energy": RATE,
}  # fmt: skip
_VALUES = ("p_value", "share")
"""Never a harm."""

ASKED = {
    "1": "Is there a recipe under which top-1, the calibration error (ECE, 15 bins), near-OOD AUROC (MCM) and accuracy "
    "under corruption all improve? A recipe is as convincing as the least of its four, and the search over recipes is "
    "corrected for; the row of all models is corrected for the search over models, too.",
    "2": "Does the change of the calibration error follow the sign of FP32's confidence, which follows what it was "
    "trained on (clean captions: over-, web-like captions: underconfident)? The row of all models is the interaction: "
    "the mean harm of overconfident models less that of underconfident ones.",
    "3": "Is there a recipe that tells unfamiliar pictures apart better although its calibration error is worse?",
    "4": "Does training through the grid improve accuracy, calibration error and AUROC together, and beat rounding at "
    "equal bits? The noise arm trains on the same pairs with uniform noise in place of a grid and ends in float: what "
    "it gains comes of the training.",
    "5": "Does quantization leave covariate shift as it is, and the hold of a spurious cue, too? The relative gap is "
    "(A common - A counter) / A common; added vulnerability is the relative loss on counter pictures less that on "
    "common ones.",
    "6": "Does accuracy under corruption rise, and where does the sign turn? Relative figures are shares of FP32's "
    "accuracy that are lost: negative is a gain.",
    "7a": "Does quantization noise weigh more the weaker a direction is? The figure is the rank correlation of rank "
    "and noise to signal on FP32's singular directions: 1 where the ratio grows from each rank to the next, and at "
    "least 0.5 is called a trend. Signal falls with rank by definition, so noise that is alike in all directions shows "
    "it as well: that is the control.",
    "7b": "Do the candidate's own 8 strongest directions classify better than FP32's 8, and what lies beyond 64 worse? "
    "FP32 cut to a rank, and FP32 with noise of the candidate's spectrum, show whether losing weak directions is by "
    "itself what helps.",
    "7c": "Does rotation before rounding keep more of FP32's directions 10 dB above the noise? The rank correlations "
    "of 7a stand beside it.",
    "7d": "Does the effective rank, exp of the entropy of the energy shares, change? A follow-up of the study on "
    "another model found that it does not.",
    "7e": "Does the last layer's 2-D Fourier energy above half the Nyquist frequency fall under training? Rounding and "
    "the noise arm are the controls.",
    "8": "Does quantizing the text tower too raise the calibration error, does refitting the logit scale repair it, "
    "and is anything left against an FP32 model tuned the same way?",
    "C": "What the method itself makes of nothing, and what another draw of range-setting pairs or another seed of the "
    "training would have shown. The share of variance is that of the draws in the variance of one draw's harm; the "
    "rest is the pictures'.",
}
"""What each claim asks and how its figures are read."""


def unit_for(metric: str) -> Unit:
    """The study's own figures, or a metric's unit."""
    return _UNITS.get(metric, unit_of(metric))


def is_value(effect: Effect) -> bool:
    """Whether the figure is no difference."""
    return effect.name.endswith("value") or effect.metric in _VALUES


def shown(effect: Effect) -> str:
    """The figure with its limits."""
    unit, sign = unit_for(effect.metric), "" if is_value(effect) else "+"
    numbers = [unit.factor * value for value in (effect.estimate, effect.lower, effect.upper)]
    first, low, high = (f"{number:{sign}.{max(unit.digits, 1)}f}" for number in numbers)
    suffix = unit.level if is_value(effect) else unit.change
    return f"{first}{suffix}" if effect.lower == effect.upper else f"{first}{suffix} [{low}, {high}]"
