"""docs/scenes.md has a card for every embedded set."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from benchmarks.scenes_cards import DOCS, FIGURES, STRIPS, scene_models
from benchmarks.scenes_words import SECTIONS
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.registry import open_data
from reliability.evaluate.comparison.compare import judgeable_metrics


@pytest.fixture(scope="module")
def text():
    return (DOCS / "scenes.md").read_text()


def test_every_clean_task_stands_in_one_section():
    tasks = [name for name, task in open_data("scenes").tasks.items() if task.role != "noise"]
    assert sorted(chain.from_iterable(section.tasks for section in SECTIONS)) == sorted(tasks)
    assert sum(section.noise for section in SECTIONS) == 1


def test_every_role_has_figures_that_can_be_judged():
    roles = {task.role for task in open_data("scenes").tasks.values()} - {"noise"}
    assert set(FIGURES) == roles
    assert {metric for figures in FIGURES.values() for _, metric, _ in figures} <= set(judgeable_metrics())


def test_the_page_has_every_card_with_its_sentence_and_figures_of_models(text):
    cards = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    for name, task in open_data("scenes").tasks.items():
        if task.role == "noise":
            continue
        assert task.card.split(".")[0] in " ".join(cards[name].split())
        assert re.search(r"^\| scenes-\w+ .*\d\.\d{3} \(-?\d\.\d{3} to ", cards[name], flags=re.MULTILINE)


def test_the_page_has_the_figures_of_every_corruption(text):
    for name in CORRUPTIONS:
        assert re.search(rf"^\| {name.replace('_', ' ')} +\| \d\.\d{{3}} \(", text, flags=re.MULTILINE)


def test_pictures_of_the_page_are_there_and_small(text):
    linked = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(linked) == len(set(linked)) > 30
    sizes = [(DOCS / path).stat().st_size for path in linked]
    assert sum(sizes) < 1_000_000
    assert {Path(path) for path in linked} == {STRIPS / file.name for file in (DOCS / STRIPS).iterdir()}


def test_models_of_the_page_are_those_with_the_classes_of_scenes():
    assert {"scenes-clean", "scenes-web"} <= set(scene_models())
    assert "photos" not in scene_models()
