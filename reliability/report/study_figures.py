"""The study's figures, drawn from findings and curves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reliability.report.figures import Picture
from reliability.report.forest import Row, forbidden
from reliability.report.forest import draw as draw_forest
from reliability.report.study_panels import Look, Panel, draw_panels, look_of
from reliability.report.study_words import is_value, shown, unit_for
from reliability.report.words import Unit
from reliability.study import names
from reliability.study.finding import NOT_APPLICABLE, Curve, Effect, Finding, Study

_BANDS = ("mean", "to 1/4", "to 1/2", "to 3/4", "above")
_PANELS_A_FOREST = 5
_LONGEST_TITLE = 68  # letters


@dataclass(frozen=True)
class Figure:
    """One figure of curves.

    Attributes:
        file: Without prefix.
        title, caption: Plain text.
        panels: From its curves.
        columns: Of panels.
    """

    file: str
    title: str
    caption: str
    panels: Callable[[Sequence[Curve]], Sequence[Panel]]
    columns: int = 5


def write_figures(folder: Path, study: Study, prefix: str = "") -> list[Picture]:
    """Write every figure that there are curves or findings for."""
    pictures = []
    for kind, figure in FIGURES.items():
        curves = [curve for curve in study.curves if curve.figure == kind]
        if curves:
            picture = Picture(f"{prefix}{figure.file}.png", figure.title, figure.caption)
            draw_panels(folder / picture.file, figure.panels(curves), figure.columns)
            pictures.append(picture)
    panels = list(_forest(study.findings).items())
    for number, start in enumerate(range(0, len(panels), _PANELS_A_FOREST), start=1):
        some = dict(panels[start : start + _PANELS_A_FOREST])
        claims = ", ".join(dict.fromkeys(title.partition("  ")[0] for title in some))
        picture = Picture(f"{prefix}forest-{number}.png", f"Effects of claims {claims}", _FOREST_CAPTION)
        draw_forest(folder / picture.file, some)
        pictures.append(picture)
    return pictures


_FOREST_CAPTION = (
    "The main effect of each claim on each model, with its limits; colour and shape are the claim's verdict, which may "
    "rest on further effects. The shaded side is not allowed by the claim. Positive harm is worse. "
    "Claims about a value and not about a difference are in the tables."
)


def _forest(findings: Sequence[Finding]) -> dict[str, list[Row]]:
    panels: dict[str, list[Row]] = {}
    for finding in findings:
        effect = finding.main
        if effect is None or is_value(effect) or finding.verdict == NOT_APPLICABLE:
            continue
        unit = unit_for(effect.metric)
        low, harm, high = (unit.factor * value for value in (effect.lower, effect.estimate, effect.upper))
        row = Row(
            label=finding.subject, text=(shown(effect).partition(" ")[0], _allowed(effect, unit)),
            low=low, harm=harm, high=high,
            forbidden=forbidden(effect.relation, unit.factor * effect.margin) if effect.relation else (),
            outcome=finding.verdict, observed=True,
        )  # fmt: skip
        panels.setdefault(_panel_title(finding, effect.metric, unit.change.strip()), []).append(row)
    return panels


def _allowed(effect: Effect, unit: Unit) -> str:
    """What the claim asks of the effect, in signs."""
    margin = f"{unit.factor * effect.margin:g}"
    signs = {"improves": "< 0", "worsens": "> 0", "differs": "not 0", "not_worse": f"up to {margin}"}
    return signs.get(effect.relation or "", f"at least -{margin}" if effect.relation == "not_better" else "")


def _panel_title(finding: Finding, metric: str, unit: str) -> str:
    """What is claimed, cut in the middle where it is long: its end tells the recipe."""
    figure = f" ({metric}, {unit})" if unit else f" ({metric})"
    title, room = finding.title, _LONGEST_TITLE - len(figure)
    if len(title) > room:
        end = title.rpartition(": ")[2] if ": " in title else ""
        title = f"{title[: room - len(end) - 2].rstrip()}\N{HORIZONTAL ELLIPSIS} {end}".rstrip()
    return f"{finding.claim}  {title}{figure}"


def _by_model(curves: Sequence[Curve], x: str, y: str, *, log: bool = False, zero: bool = False) -> Sequence[Panel]:
    """One panel a model, one line a recipe."""
    return [
        Panel(title=subject, x=x, y=y, log=log, zero=zero, curves=tuple((c, look_of(c.name)) for c in own))
        for subject, own in _grouped(curves, lambda c: c.subject).items()
    ]


def _grouped(curves: Sequence[Curve], key: Callable[[Curve], str]) -> dict[str, list[Curve]]:
    found: dict[str, list[Curve]] = {}
    for curve in curves:
        found.setdefault(key(curve), []).append(curve)
    return found


def _sign_panels(curves: Sequence[Curve]) -> Sequence[Panel]:
    """All models in a panel for each of some recipes."""
    return [
        Panel(
            title=name, x="FP32's signed calibration error, %", y="change of the error, pp", zero=True, cross=True,
            curves=tuple((_percent(c), Look.of_model(c.subject)) for c in own), bars=True,
        )
        for name, own in _grouped(curves, lambda c: c.name).items()
    ]  # fmt: skip


def _pareto_panels(curves: Sequence[Curve]) -> Sequence[Panel]:
    called = {"ece": "calibration error, %", "auroc": "near-OOD AUROC, %"}
    ordered = sorted(curves, key=lambda c: list(called).index(c.panel) if c.panel in called else len(called))
    return [
        Panel(
            title=own[0].subject, x="top-1, %", y=called.get(own[0].panel, own[0].panel),
            curves=tuple((_percent(c), look_of(c.name)) for c in own), points=True,
        )
        for own in _grouped(ordered, lambda c: f"{c.panel} {c.subject}").values()
    ]  # fmt: skip


def _severity_panels(curves: Sequence[Curve]) -> Sequence[Panel]:
    return [
        Panel(
            title=f"{own[0].subject}\n{own[0].panel}", x="severity", y="change of accuracy, %", zero=True,
            curves=tuple((_percent(c, x=False), look_of(c.name)) for c in own),
        )
        for own in _grouped(curves, lambda c: f"{c.subject} {c.panel}").values()
    ]  # fmt: skip


def _frequency_panels(curves: Sequence[Curve]) -> Sequence[Panel]:
    """The last layer of each model."""
    last = {curve.subject: curve.panel for curve in curves}
    kept = [curve for curve in curves if curve.panel == last[curve.subject]]
    return [
        Panel(
            title=f"{own[0].subject}\n{own[0].panel}", x="spatial frequency, of Nyquist", y="change of share, dB",
            zero=True, ticks=_BANDS, curves=tuple((c, look_of(c.name)) for c in own),
        )
        for own in _grouped(kept, lambda c: c.subject).values()
    ]  # fmt: skip


def _percent(curve: Curve, x: bool = True) -> Curve:
    xs = tuple(100.0 * value for value in curve.x) if x else curve.x
    return Curve(curve.figure, curve.subject, curve.name, xs, tuple(100.0 * value for value in curve.y), curve.panel)


FIGURES: dict[str, Figure] = {
    names.SIGN: Figure(
        "ece-change", "Change of the calibration error by the sign of FP32's confidence",
        "One panel a recipe, one mark a model, with its limits. Left of the line FP32 is underconfident, right of it "
        "overconfident; below the line the error has fallen. The claim puts marks into the lower left and upper right.",
        _sign_panels,
    ),
    names.PARETO: Figure(
        "pareto", "Accuracy, calibration error and OOD detection by bits",
        "Each mark is a candidate: its colour is the method, its shape the widths. Right and low is better in the "
        "upper panels, right and high in the lower ones. A mark on the frame lies beyond it.", _pareto_panels,
    ),
    names.SEVERITY: Figure(
        "severity", "Change of accuracy by corruption and severity",
        "Relative to FP32's accuracy on the same pictures; severity 0 is no corruption. Above the line the candidate "
        "is right more often.", _severity_panels, len(names.CORRUPTIONS),
    ),
    names.FEATURES: Figure(
        "signal-to-noise", "Signal to quantization noise by rank",
        "The difference of the features is projected on FP32's singular directions; rank 1 is the strongest.",
        lambda curves: _by_model(curves, "rank", "signal to noise, dB", zero=True),
    ),
    names.VALUES: Figure(
        "singular-values", "Singular values of features",
        "FP32 against candidates, each relative to its largest; a candidate's own directions.",
        lambda curves: _by_model(curves, "rank", "relative singular value", log=True),
    ),
    names.WEIGHTS: Figure(
        "weights", "Signal to quantization noise of weights by rank",
        "The mean over the tower's layers, by rank as a share of a layer's ranks. The noise arm has no grid: its "
        "difference is what training moved.",
        lambda curves: _by_model(curves, "relative rank", "signal to noise, dB"),
    ),
    names.FREQUENCIES: Figure(
        "frequencies", "Spatial frequencies of the last layer's maps",
        "Share of the 2-D Fourier energy in each band, over FP32's; small maps have few bands.", _frequency_panels,
    ),
}  # fmt: skip
"""Figure of a curve to how it is drawn."""
