"""What is here and what is not, and the page that says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from reliability.cli import main
from reliability.data.benchmarks.inventory import inventory
from reliability.data.benchmarks.registry import BENCHMARKS, SUITES
from reliability.data.published_prompts import imagenet_wnids
from reliability.data.registry import KINDS
from reliability.data.torchvision_sets import PUBLISHED

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path, layouts):
    layouts.pictures(tmp_path / "imagenet-a", [f"{wnid}/0.jpg" for wnid in imagenet_wnids()[:200]], size=1)
    layouts.pictures(tmp_path / "imagenet-r", ["n01440764/0.jpg"], size=1)
    layouts.pictures(tmp_path / "eurosat" / "2750", ["River/0.jpg"], size=1)
    return tmp_path


def test_every_set_is_found_missing_or_unusable(root):
    state = {entry.spec: entry.state for entry in inventory(root)}
    assert (state["imagenet-a"], state["imagenet-r"], state["imagenet"]) == ("found", "unusable", "missing")
    assert (state["torchvision:EuroSAT"], state["torchvision:DTD"]) == ("found", "missing")
    assert set(state) == set(BENCHMARKS) | {f"torchvision:{name}" for name in PUBLISHED}


def test_what_is_missing_says_where_it_goes_and_how_to_get_it(root):
    for entry in inventory(root):
        assert (entry.next == "") == (entry.state == "found")
        assert entry.where.is_relative_to(root)
        assert all((entry.tasks, entry.holds, entry.size, entry.licence))


def test_the_doctor_prints_sets_and_packages(root):
    shown = CliRunner().invoke(main, ["doctor", "--data-root", str(root)])
    assert shown.exit_code == 0, shown.output
    assert f"data root: {root}" in shown.output
    assert re.search(r"^imagenet-a +found +7,500", shown.output, re.MULTILINE)
    assert re.search(rf"^imagenet-v2 +{re.escape(str(root / 'imagenet-v2'))} +github", shown.output, re.MULTILINE)
    assert re.search(r"^imagenet-r +.* has 200 class folders", shown.output, re.MULTILINE)
    assert re.search(r"^torch +\d", shown.output, re.MULTILINE)
    assert re.search(r"^GPU ", shown.output, re.MULTILINE)


def test_a_missing_package_is_shown_as_missing(root, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    from reliability import versions

    def none(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(versions, "installed", none)
    shown = CliRunner().invoke(main, ["doctor", "--data-root", str(root)])
    assert re.search(r"^pyarrow +missing", shown.output, re.MULTILINE)


def test_the_list_of_data_names_every_kind_and_benchmark():
    shown = CliRunner().invoke(main, ["list", "data"]).output
    assert all(re.search(rf"^{re.escape(name)} ", shown, re.MULTILINE) for name in KINDS)


def test_only_torchvisions_sets_are_fetched():
    refused = CliRunner().invoke(main, ["fetch", "imagenet-a"])
    assert refused.exit_code != 0
    assert "reliability doctor" in refused.output


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_the_page_has_a_row_that_says_of_a_benchmark_what_the_doctor_says(name):
    (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.MULTILINE)
    benchmark = BENCHMARKS[name]
    told = (benchmark.tasks, benchmark.holds, benchmark.size, benchmark.licence, benchmark.get, *benchmark.places)
    assert all(text in row for text in told)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_page_has_a_row_for_every_set_of_torchvisions(name):
    (row,) = re.findall(rf"^\| `torchvision:{name}` \|.*$", PAGE, re.MULTILINE)
    published = PUBLISHED[name]
    told = (published.size, published.licence, published.archive, published.url, *published.content)
    assert all(text in row for text in told)


def test_the_page_names_every_kind_and_suite():
    assert all(f"`{kind}:" in PAGE or f"`{kind}`" in PAGE for kind in KINDS)
    assert all(f"`suite:{name}`" in PAGE for name in SUITES)
