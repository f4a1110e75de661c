"""All claims of the study in order, on each model by itself and then across them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from reliability.errors import UndefinedMetricError
from reliability.evaluate.filling.fill import Site, engine_at
from reliability.models.spec import ModelSpec
from reliability.study import gains, limits, spectrum, variation
from reliability.study.across import across
from reliability.study.bench import StudyBench, reason
from reliability.study.drawings import draw_all
from reliability.study.finding import NOT_APPLICABLE, Finding, Judged, NotApplicableError, Study, joined
from reliability.study.names import BITS, PTQ, QAT

_WIDE_PTQ, _NARROW_PTQ, _WIDE_QAT, _NARROW_QAT = (f"{bits}-{method}" for method in (PTQ, QAT) for bits in BITS)
DRAWS, SEEDS = 5, 3
"""Draws of range-setting pairs, and seeds of trainings, which are dearer."""


@dataclass(frozen=True)
class Claim:
    """What is claimed, and how it is judged on one model.

    Attributes:
        number: In the study, ``"C"`` for controls of the whole.
        title: In words.
        judge: A model's bench to how it came out.
    """

    number: str
    title: str
    judge: Callable[[StudyBench], Judged]


def _for_each(
    number: str, title: str, judge: Callable[..., Judged], recipes: Sequence[str], name: str = "recipe"
) -> tuple[Claim, ...]:
    """One claim for each of several recipes or widths."""
    return tuple(Claim(number, title.format(recipe), partial(judge, **{name: recipe})) for recipe in recipes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "1", "Accuracy, calibration error, OOD detection and noise robustness improve at once under some recipe",
        gains.all_at_once,
    ),
    *_for_each(
        "2", "The calibration error falls where FP32 was underconfident and rises where it was overconfident: {}",
        gains.sign_follows_confidence, (_WIDE_PTQ, _NARROW_PTQ, _NARROW_QAT),
    ),
    Claim(
        "3", "OOD AUROC improves under some recipe whose calibration error got worse",
        gains.detection_despite_calibration,
    ),
    Claim(
        "4", "Training gains on accuracy, calibration error and OOD detection together", gains.training_improves_three
    ),
    *_for_each(
        "4", "Training beats rounding on the calibration error at equal bits: {}", gains.training_beats_rounding, BITS,
        "bits",
    ),
    *_for_each(
        "5", "Covariate shift sees no gain: {}", limits.no_gain_under_shift, (_WIDE_PTQ, _NARROW_PTQ, _WIDE_QAT)
    ),
    *_for_each(
        "5", "Spurious gap and added vulnerability do not shrink: {}", limits.spurious_does_not_shrink,
        (_WIDE_PTQ, _NARROW_PTQ, _WIDE_QAT),
    ),
    Claim("5", "Spurious gap and added vulnerability grow from W8A8 to W4A8", limits.spurious_grows),
    Claim("5", "Rotation with training does not widen the spurious gap at W8A8", limits.rotation_holds_the_gap),
    *_for_each(
        "6", "Accuracy under corruption rises: {}", limits.noise, (_WIDE_PTQ, _NARROW_PTQ, _NARROW_QAT)
    ),
    *_for_each(
        "7a", "Signal to quantization noise of features falls with rank: {}", spectrum.noise_by_rank,
        (_NARROW_PTQ, _WIDE_QAT),
    ),
    *_for_each(
        "7a", "Signal to quantization noise falls with rank in every layer: {}", spectrum.noise_by_rank_in_layers,
        (_NARROW_PTQ,),
    ),
    *_for_each(
        "7a", "Signal to quantization noise of weights falls with rank: {}", spectrum.noise_in_weights,
        (_NARROW_PTQ, _NARROW_QAT),
    ),
    *_for_each(
        "7b", "The first 8 directions alone classify better than FP32's: {}", spectrum.first_directions,
        (_WIDE_QAT, _NARROW_QAT),
    ),
    *_for_each(
        "7b", "What lies beyond 64 directions classifies worse: {}", spectrum.tail_classifies_worse,
        (_WIDE_QAT, _NARROW_QAT),
    ),
    Claim("7c", "Rotation delays the fall: more directions stay clear of the noise", spectrum.rotation_delays),
    *_for_each("7d", "The effective rank changes: {}", spectrum.rank_changes, (_WIDE_QAT, _NARROW_QAT)),
    *_for_each(
        "7e", "Energy of feature maps moves to low frequencies: {}", spectrum.low_frequencies, (_WIDE_QAT, _NARROW_QAT)
    ),
    *_for_each(
        "8", "Quantizing the text tower too raises the calibration error: {}", limits.text_tower_costs, BITS, "bits"
    ),
    *_for_each("8", "Refitting the logit scale alone repairs it: {}", limits.tuning_repairs, BITS, "bits"),
    *_for_each(
        "8", "Against FP32 tuned the same way nothing is left of the cost: {}", limits.fair_comparison, BITS, "bits"
    ),
    Claim("C", "Nothing comes out of permuted labels", variation.nothing_from_permuted_labels),
    Claim(
        "C", f"The sign of the changes outlasts another range-setting draw: {_NARROW_PTQ}",
        partial(variation.outlasts_draws, recipe=_NARROW_PTQ, draws=DRAWS, what="range-setting draw"),
    ),
    Claim(
        "C", f"The sign of the changes outlasts another seed of the training: {_NARROW_QAT}",
        partial(variation.outlasts_draws, recipe=_NARROW_QAT, draws=SEEDS, what="training seed"),
    ),
)  # fmt: skip
"""What is claimed, by the study's numbers; a new claim is one function and one entry."""


def judge_model(bench: StudyBench, tell: Callable[[Finding], None] = lambda _: None) -> Study:
    """Judge every claim on one model, telling of each finding as it comes.

    Conventions:
        What a model's architecture refuses, the plan or the data do not hold, or has no value on
        these pictures, is a finding that says so.

    Raises:
        ReliabilityError: The model, or a cached entry, is at fault.
    """
    findings = []
    for claim in CLAIMS:
        finding = Finding(claim.number, claim.title, bench.model.name, _judged(claim, bench))
        tell(finding)
        findings.append(finding)
    return Study(tuple(findings), draw_all(bench))


def _judged(claim: Claim, bench: StudyBench) -> Judged:
    try:
        return claim.judge(bench)
    except NotApplicableError as error:
        return Judged(NOT_APPLICABLE, (), (), f"{error.where}: {reason(error)}.")
    except UndefinedMetricError as error:
        return Judged(NOT_APPLICABLE, (), (), f"No value, {error.where}: {reason(error)}.")


@dataclass(frozen=True)
class Assignment:
    """One model for a process to judge.

    Attributes:
        model: Which.
        planned: Recipes that may be asked for.
        refused: Recipe and reason of those that the model does not take.
    """

    model: ModelSpec
    planned: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name


def judge_assigned(site: Site, assignment: Assignment) -> Study:
    """A process's share: one model."""
    bench = StudyBench(engine_at(site), assignment.model, assignment.planned, dict(assignment.refused))
    return judge_model(bench)


def judge_all(studies: Sequence[Study], made_with: str = "") -> Study:
    """What was found on each model, and across them."""
    whole = joined(studies, made_with)
    order = {(claim.number, claim.title): rank for rank, claim in enumerate(CLAIMS)}
    findings = sorted((*whole.findings, *across(whole.findings)), key=lambda f: order.get((f.claim, f.title), 0))
    return Study(tuple(findings), whole.curves, made_with)
