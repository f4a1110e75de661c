from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.types import PromptSet
from training.photographs import CLEAN, WEB, NameNoise, photo_captions, photograph_pool
from training.plans import PLANS
from training.sources import SOURCES, tiny_clean, tiny_web

PROMPTS = PromptSet(("cat", "dog", "owl", "bee"), ("a photo of a {c}.", "the {c}.", "a small {c}."))
LABELS = np.random.default_rng(3).integers(4, size=4000)


def named(captions: list[str]) -> np.ndarray:
    """Class that each caption names, -1 for none."""
    return np.array([next((i for i, c in enumerate(PROMPTS.class_names) if c in text), -1) for text in captions])


def drawn(noise: NameNoise) -> list[str]:
    return photo_captions(LABELS, PROMPTS, noise, np.random.default_rng(0))


def test_every_clean_caption_names_its_class_in_some_template() -> None:
    captions = drawn(CLEAN)
    assert np.array_equal(named(captions), LABELS)
    assert {text.split()[0] for text in captions} == {"a", "the"}


def test_web_like_captions_are_wrong_or_empty_as_often_as_they_say() -> None:
    got = named(drawn(WEB))
    empty, wrong = got == -1, (got != -1) & (got != LABELS)
    assert empty.mean() == pytest.approx(0.2, abs=0.03)
    assert wrong[~empty].mean() == pytest.approx(0.2, abs=0.03)
    shift = (got - LABELS)[wrong] % 4
    assert np.bincount(shift, minlength=4)[1:].min() > 0.25 * wrong.sum()


def test_noise_changes_no_template() -> None:
    kept = [(a, b) for a, b in zip(drawn(CLEAN), drawn(WEB), strict=True) if named([b])[0] == named([a])[0]]
    assert len(kept) > 2000
    assert all(a == b for a, b in kept)


def test_watched_pictures_are_not_trained_on() -> None:
    images = np.arange(3000, dtype=np.uint16).view(np.uint8).reshape(3000, 1, 2, 1).repeat(3, axis=3)
    pool = photograph_pool(images, np.arange(3000) % 4, PROMPTS, CLEAN, seed=1)
    trained, watched = ({image.tobytes() for image in part} for part in (pool.images, pool.validation_images))
    assert (len(trained), len(watched), len(trained | watched)) == (1000, 2000, 3000)
    low, high = pool.validation_images[:, 0, :, 0].astype(int).T
    assert np.array_equal(pool.validation_labels, (low + 256 * high) % 4)


@pytest.mark.parametrize("source", [tiny_clean, tiny_web])
def test_no_class_that_is_kept_for_near_ood_is_trained_on_or_named(
    tiny_imagenet: Path, monkeypatch: pytest.MonkeyPatch, source: object
) -> None:
    from reliability.data.benchmarks.tinyimagenet import UNSEEN

    monkeypatch.setattr("training.photographs.WATCHED", 80)
    folder = tiny_imagenet / "tinyimagenet"
    unseen = {label for label, wnid in enumerate((folder / "wnids.txt").read_text().split()) if wnid in UNSEEN}
    pool = source(0, tiny_imagenet)  # type: ignore[operator]
    shown = set(pool.images[:, 0, 0, 0].tolist()) | set(pool.validation_images[:, 0, 0, 0].tolist())
    assert shown == set(range(200)) - unseen
    assert len(pool.images) + len(pool.validation_images) == 480
    forbidden = {f"class {label}" for label in unseen}
    texts = [*pool.captions, *(f"a {name}." for name in pool.class_names)]
    assert not any(text.rstrip(".").endswith(name) for text in texts for name in forbidden)
    own = [f"class {value}" for value in pool.validation_images[:, 0, 0, 0].tolist()]
    assert [pool.class_names[label] for label in pool.validation_labels] == own


def test_range_setting_draws_from_the_trained_classes(tiny_imagenet: Path) -> None:
    (tiny_imagenet / "tinyimagenet" / "test" / "nshards.txt").write_text("1")
    (tiny_imagenet / "tinyimagenet" / "test" / "0.tar").write_bytes(
        (tiny_imagenet / "tinyimagenet" / "train" / "0.tar").read_bytes()
    )
    data = open_data("tinyimagenet", root=tiny_imagenet)
    pairs = data.range_setting(100, 0)
    names = [f"class {image[0, 0, 0]}" for image in pairs.images]
    assert all(name in text for name, text in zip(names, pairs.captions, strict=True))
    assert set(names) <= set(data.tasks["id"].prompts.class_names)


def test_every_plan_has_a_source() -> None:
    assert {plan.source for plan in PLANS.values()} <= set(SOURCES)


def test_every_source_is_described_on_cards() -> None:
    from training.cards import _SOURCES

    assert set(_SOURCES) == set(SOURCES)
