"""Tasks that need more than pictures and prompts: fitted scores, groups of corruptions, retrieval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reliability.data.corruptions.source import CorruptedSource
from reliability.data.dataset import DataSet
from reliability.errors import DataError, UsageError
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.metrics.ood import auroc
from reliability.metrics.scores import Evidence, Training, get_score
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, parse_recipe
from reliability.types import Part, PromptSet, Task, TaskGroup

W8 = replace(parse_recipe("w8a8-minmax"), range_images=16)


@pytest.fixture
def engine(tmp_path: Path, data: DataSet) -> Engine:
    """Beside the tasks of ``data``: its pictures under noise, with a fit split, and with captions."""
    pictures = data.sources["pictures"]
    noisy = [CorruptedSource(pictures, name, severity) for name in ("fog", "contrast") for severity in (1, 5)]
    prompts, near = data.task("id").prompts, data.task("ood/near")
    captions = PromptSet(tuple(f"a {name}" for name in prompts.class_names), ("{c}",))
    tasks = [
        replace(near, name="ood/fitted", fit=Part("pictures", near.familiar.labels if near.familiar else None)),
        Task("retrieval/captions", Part("pictures"), captions, matches=tuple((i % 4,) for i in range(24))),
        *(Task(f"noise/{source.corruption}/{source.severity}", Part(source.name), prompts) for source in noisy),
    ]
    data = replace(
        data,
        tasks={**data.tasks, **{task.name: task for task in tasks}},
        sources={**data.sources, **{source.name: source for source in noisy}},
    )
    return Engine(Cache(tmp_path / "cache"), data)


def test_pictures_to_fit_on_are_embedded_only_where_they_are_asked_for(engine: Engine, tiny: ModelSpec) -> None:
    task = engine.data.task("ood/fitted")
    assert engine.pair(tiny, W8, task).reference.fit is None
    pair = engine.pair(tiny, W8, task, fit=True)
    for side in (pair.reference, pair.candidate):
        assert side.fit is not None
        assert side.familiar is not None
        assert np.array_equal(side.fit.image, side.familiar.image)
        assert side.fit.labels.tolist() == [0, 1] * 6


def test_a_fitted_score_is_fitted_on_each_models_own_pictures(engine: Engine, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, W8, engine.data.task("ood/fitted"), fit=True)
    found = pair.harm("auroc", "kl_matching")
    for side, interval in ((pair.reference, found.reference), (pair.candidate, found.candidate)):
        fitted = get_score("kl_matching").fit(Training.of(side.fit))
        expected = auroc(*(fitted(Evidence.of(part)) for part in (side.familiar, side.part)))
        assert interval.estimate == pytest.approx(expected)


def test_a_fitted_score_without_pictures_to_fit_on_is_an_error(engine: Engine, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, FP32, engine.data.task("ood/near"), fit=True)
    with pytest.raises(UsageError, match=r"(?s)knn is fitted.*without a train split"):
        pair.harm("auroc", "knn")


def test_other_pictures_to_fit_on_are_refused(engine: Engine, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, FP32, engine.data.task("ood/fitted"), fit=True)
    assert pair.candidate.fit is not None
    other = replace(pair.candidate.fit, ids=pair.candidate.fit.ids[::-1])
    with pytest.raises(DataError, match="same pictures"):
        replace(pair, candidate=replace(pair.candidate, fit=other))


def test_a_group_holds_the_answers_to_each_of_its_tasks(engine: Engine, tiny: ModelSpec) -> None:
    tasks = tuple(task for task in engine.data.tasks.values() if task.role == "noise")
    made = engine.group_pair(tiny, W8, TaskGroup("noise", tasks, engine.data.task("id")))
    assert made.corruptions == ("fog", "contrast")
    assert made.candidate.correct.shape == (24, 2, 2)
    fifth = engine.pair(tiny, W8, engine.data.task("noise/contrast/5"))
    right = fifth.candidate.part.logits.argmax(axis=1) == fifth.candidate.part.labels
    assert np.array_equal(made.candidate.correct[:, 1, 1], right)
    assert made.harm("mean_corruption_accuracy").candidate.estimate == pytest.approx(made.candidate.correct.mean())


def test_retrieval_is_between_a_tasks_pictures_and_its_prompts(engine: Engine, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, W8, engine.data.task("retrieval/captions"))
    found = pair.harm("image_to_text_recall_at_1")
    # With one right text for each picture, the first text found is right as often as the class is.
    assert found.candidate.estimate == pytest.approx(pair.harm("top1").candidate.estimate)
    assert found.n == 24


def test_retrieval_needs_matches_for_every_picture(engine: Engine, tiny: ModelSpec) -> None:
    pair = engine.pair(tiny, FP32, engine.data.task("retrieval/captions"))
    with pytest.raises(UsageError, match="which texts are true"):
        replace(pair, task=engine.data.task("id")).harm("image_to_text_recall_at_1")
    short = replace(pair.task, matches=pair.task.matches[1:])
    with pytest.raises(DataError, match="one entry of matches for each picture"):
        replace(pair, task=short).harm("image_to_text_recall_at_1")
