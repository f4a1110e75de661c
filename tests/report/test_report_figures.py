"""Figures show every case they should, at a size that can be read, and cost a gate run little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reliability.claims.records import RecordError
from reliability.claims.runs import RunRecord
from reliability.report import diagram, forest
from reliability.report.figures import write_figures

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


def test_reports_load_neither_matplotlib_nor_torch_before_a_figure() -> None:
    script = "import sys, reliability.report.markdown, reliability.report.terminal as t; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "reliability.report.markdown" in loaded
    assert not {"matplotlib", "torch", "pytest"} & set(loaded)


def test_rows_are_in_the_unit_of_their_metric(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [make_case(0.0172, 0.0034), make_case(0.003, 0.001, metric="nll", gate=False)]
    panels = forest.drawable(make_run(*cases).results())
    assert list(panels) == ["nll", "top1, pp"]
    (nll,), (top1,) = panels["nll"], panels["top1, pp"]
    assert (top1.low, top1.harm, top1.high) == pytest.approx((1.38, 1.72, 2.06))
    assert (top1.edges, top1.outcome, top1.observed) == ([1.0], "broken", False)
    assert (nll.harm, nll.edges, nll.observed) == (pytest.approx(0.003), [0.01], True)


def test_the_side_that_is_not_allowed_follows_the_relation(make_case: MakeCase, make_run: MakeRun) -> None:
    edges = {}
    for relation, margin in (("improves", 0.0), ("equivalent", 0.01), ("differs", 0.0), ("at_least", 0.5)):
        panels = forest.drawable(make_run(make_case(relation=relation, margin=margin)).results())
        edges[relation] = [row.edges for panel in panels.values() for row in panel]
    assert edges == {"improves": [[0.0]], "equivalent": [[-1.0, 1.0]], "differs": [[0.0, 0.0]], "at_least": []}


def test_errors_are_not_drawn_as_if_they_had_figures(make_case: MakeCase, make_run: MakeRun) -> None:
    results = make_run(make_case(error="no figure")).results()
    assert forest.drawable(results) == {}
    assert diagram.drawable(results) == []


def test_a_forest_grows_with_its_rows(tmp_path: Path, make_case: MakeCase, make_run: MakeRun) -> None:
    sizes = []
    for count in (2, 12):
        run = make_run(*(make_case(0.001 * i, task=f"noise/gaussian_noise/{i}") for i in range(count)))
        (picture,) = write_figures(tmp_path / str(count), run.results())
        sizes.append(Image.open(tmp_path / str(count) / picture.file).size)
    (width, low), (same_width, high) = sizes
    assert width == same_width <= 1200
    assert high - low == pytest.approx(10 * 0.23 * 110, abs=2)


def test_a_long_forest_keeps_what_does_not_hold_and_what_comes_close(
    tmp_path: Path, make_case: MakeCase, make_run: MakeRun
) -> None:
    cases = [make_case(0.0001 * i, 0.0, task=f"t{i:02}") for i in range(60)]
    cases += [make_case(0.5, 0.0, task="broken", gate=False), make_case(0.01, 0.002, task="straddles")]
    results = make_run(*cases).results()
    (rows,) = forest.most_telling(forest.drawable(results), 12).values()
    tasks = [row.label.split()[-1] for row in rows]
    assert tasks == ["broken", "straddles", *(f"t{i}" for i in range(50, 60))]
    (picture,) = write_figures(tmp_path, results)
    assert picture.caption.endswith("The 40 most telling of 62 cases; report.html has all.")
    assert Image.open(tmp_path / picture.file).size[1] < 1300


@pytest.mark.parametrize("harm", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("relation", ["not_worse", "improves", "equivalent", "differs"])
def test_extreme_harms_can_be_drawn(
    tmp_path: Path, make_case: MakeCase, make_run: MakeRun, harm: float, relation: str
) -> None:
    cases = (make_case(harm, 0.0, relation=relation, margin=0.0), make_case(task="x" * 90, relation=relation))
    (picture,) = write_figures(tmp_path, make_run(*cases).results())
    assert Image.open(tmp_path / picture.file).format == "PNG"


def test_each_model_has_its_own_files_whatever_its_name(tmp_path: Path, make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [make_case(model=name) for name in ("zoo:a/b", "zoo:a-b", "zoo:../../etc", "zoo:é|")]
    pictures = write_figures(tmp_path, make_run(*cases).results())
    names = {picture.file for picture in pictures}
    assert len(names) == 4
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all("|" not in name and "/" not in name for name in names)


def test_diagrams_leave_empty_bins_out_and_show_the_largest_harm_first(
    make_case: MakeCase, make_run: MakeRun, bins: Any
) -> None:
    cases = [make_case(harm, metric="ece", task=f"t{i}", details=bins) for i, harm in enumerate((0.01, 0.03, 0.02))]
    panels = diagram.drawable(make_run(*cases).results())
    assert [panel.harm for panel in panels] == [0.03, 0.02, 0.01]
    shown = panels[0].sides["reference"]
    assert len(shown.share) == len(shown.confidence) == len(shown.accuracy) == 14
    assert sum(shown.share) == pytest.approx(1.0)
    assert None not in shown.confidence


def test_a_diagram_that_leaves_panels_out_says_so(
    tmp_path: Path, make_case: MakeCase, make_run: MakeRun, bins: Any
) -> None:
    cases = [make_case(metric="ece", task=f"t{i}", details=bins) for i in range(diagram.MOST_PANELS + 1)]
    pictures = write_figures(tmp_path, make_run(*cases).results())
    assert "The 12 of 13 with the largest harm." in pictures[1].caption


@pytest.mark.parametrize("side", [{}, {"count": [1], "confidence": [0.5], "accuracy": []}, {"count": [1]}])
def test_bins_that_cannot_be_drawn_name_their_case(
    make_case: MakeCase, make_run: MakeRun, bins: Any, side: dict[str, Any]
) -> None:
    details = {"reliability": {**bins["reliability"], "candidate": side}}
    with pytest.raises(RecordError, match="cannot be drawn") as caught:
        diagram.drawable(make_run(make_case(metric="ece", details=details)).results())
    assert caught.value.where.startswith("accuracy[")


def test_the_same_run_gives_the_same_pixels(tmp_path: Path, make_case: MakeCase, make_run: MakeRun, bins: Any) -> None:
    results = make_run(make_case(), make_case(0.02, metric="ece", details=bins)).results()
    for name in ("a", "b"):
        write_figures(tmp_path / name, results)
    files = [path.name for path in (tmp_path / "a").iterdir()]
    assert len(files) == 2
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
