"""All claims of the study in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reliability.study import gains, limits, spectrum
from reliability.study.bench import StudyBench
from reliability.study.finding import Finding

CLAIMS: tuple[Callable[[StudyBench], Iterator[Finding]], ...] = (
    gains.all_at_once,
    gains.sign_follows_confidence,
    gains.detection_despite_calibration,
    gains.training_beats_rounding,
    limits.no_gain_under_shift,
    limits.spurious_gap,
    limits.noise,
    spectrum.noise_by_rank,
    spectrum.bands,
    limits.text_tower,
)
"""What is claimed, by the study's numbers; a new claim is one function and one line."""


def judge_study(bench: StudyBench, report: Callable[[Finding], None]) -> list[Finding]:
    """Judge every claim on every model, telling of each finding as it comes.

    Raises:
        ReliabilityError: A model, recipe or metric is at fault.
    """
    findings = []
    for claim in CLAIMS:
        for finding in claim(bench):
            report(finding)
            findings.append(finding)
    return findings
