"""The report shows every finding, nothing in it is interpreted, and it can be written again from its findings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from reliability.cli.commands import main
from reliability.errors import UsageError
from reliability.report.study import overview, study_page, write_report
from reliability.report.study_figures import FIGURES, write_figures
from reliability.report.study_tables import BEGIN, END, write_tables
from reliability.study.finding import Study
from reliability.study.run import judge_all, judge_model


def shaken(recipe, embeddings):
    if recipe == "fp32":
        return embeddings
    noise = np.random.default_rng(1).normal(size=embeddings.image.shape) * np.linspace(0.01, 0.1, 96)
    return replace(embeddings, image=(embeddings.image + noise).astype(np.float32))


def inside(kind, recipe):
    """Weights with some noise, and maps that training changes."""
    rng = np.random.default_rng(0)
    if kind == "weights":
        signal = np.linspace(9.0, 1.0, 24)
        return {"conv/signal": signal, "conv/noise": np.full(24, 0.01), "conv/values": signal}
    energy = rng.uniform(1.0, 2.0, size=(50, 5)) * (np.linspace(1.0, 0.5, 5) if "lsq" in recipe else 1.0)
    return {"stage.0/pooled": rng.normal(size=(50, 12)), "stage.0/energy": energy}


@pytest.fixture(scope="module")
def study(planted):
    first = judge_model(planted(shaken, inside=inside, refuses=("w4a8-hadamard",), count=200))
    second = [replace(f, subject="<b>|other") for f in first.findings]
    others = [replace(c, subject="<b>|other") for c in first.curves]
    return judge_all([first, Study(tuple(second), tuple(others))], "made by a test <i>")


@pytest.fixture(scope="module")
def few(study):
    """A part that is quicker to draw: some claims of each kind, and every curve."""
    claims = ("1", "2", "5", "7c", "C")
    return replace(study, findings=tuple(f for f in study.findings if f.claim in claims))


def test_findings_survive_json_to_the_last_bit(study):
    assert Study.from_dict(json.loads(json.dumps(study.to_dict(), allow_nan=False))) == study


def test_the_page_shows_every_claim_model_and_reason_and_leaves_nothing_to_be_interpreted(study):
    page = study_page(study)
    assert len({f.claim for f in study.findings}) == page.count("\n## Claim ") + page.count("\n## Controls ")
    assert all(f"### {title}" in page for title in {f.title for f in study.findings})
    assert "the tower has no blocks" in page
    assert page.count("control: ") > 50
    assert "<b>" not in page
    assert "<i>" not in page


def test_every_figure_is_written_and_linked(few, tmp_path):
    page = write_report(tmp_path, few).read_text()
    files = {file.name for file in (tmp_path / "figures").iterdir()}
    assert {f"{figure.file}.png" for figure in FIGURES.values()} <= files
    assert {"forest-1.png", "forest-2.png"} <= files
    assert all(f"](figures/{name})" in page for name in files)
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in (tmp_path / "figures").iterdir())


def test_one_model_by_itself_has_every_figure_of_curves(study, tmp_path):
    own = tuple(curve for curve in study.curves if curve.subject == "planted")
    assert len(write_figures(tmp_path, Study((), own))) == len(FIGURES)


def test_tables_go_between_the_marks_of_a_page_and_may_be_written_again(few, tmp_path):
    page = tmp_path / "study.md"
    page.write_text(f"# Before\n\n{BEGIN}\nstale tables\n{END}\n\nAfter\n")
    write_tables(page, few)
    once = page.read_text()
    assert once.startswith("# Before\n")
    assert once.endswith(f"{END}\n\nAfter\n")
    assert "stale tables" not in once
    assert "Nothing comes out of permuted labels" in once
    write_tables(page, few)
    assert page.read_text() == once
    sizes = [file.stat().st_size for file in (tmp_path / "pictures").glob("study-*.png")]
    assert len(sizes) >= len(FIGURES)
    assert max(sizes) < 150_000


def test_a_study_is_redrawn_from_its_findings_alone(few, tmp_path):
    out, page = tmp_path / "out", tmp_path / "page.md"
    out.mkdir()
    (out / "findings.json").write_text(json.dumps(few.to_dict()))
    page.write_text(f"{BEGIN}\n{END}\n")
    done = CliRunner().invoke(main, ["study", "--redraw", "--out", str(out), "--tables", str(page)])
    assert done.exit_code == 0, done.output
    assert overview(few.findings) in (out / "report.md").read_text()
    assert "permuted labels" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--redraw", "--out", "{there}"], "findings cannot be read"),
        (["--reference", "zoo:scenes-web", "--reference", "zoo:scenes-web"], "a model is named twice"),
        (["--plan", "{there}/none.toml"], "none.toml"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(arguments, told, tmp_path):
    done = CliRunner().invoke(main, ["study", *(text.format(there=tmp_path) for text in arguments)])
    assert done.exit_code != 0
    assert told in done.output
    assert "Traceback" not in done.output


def test_a_page_without_marks_is_left_alone(few, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(UsageError, match="no place for tables"):
        write_tables(page, few)
    assert page.read_text() == "nothing here\n"
