"""Every claim of the study holds where it was planted and is broken where its opposite was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reliability.errors import UsageError
from reliability.metrics.features import principal_directions
from reliability.report.study import study_page
from reliability.study import gains, limits, spectrum
from reliability.study.bench import NOISE
from reliability.study.controls import truncated, with_matched_noise, with_permuted_labels
from reliability.study.run import CLAIMS, judge_study


def same(_recipe, embeddings):
    return embeddings


def moved_to_class(amount):
    """Features moved towards (or away from) the text of their own class."""

    def change(recipe, embeddings):
        if recipe == "fp32":
            return embeddings
        known = embeddings.labels >= 0
        pull = np.where(known[:, None], embeddings.text[embeddings.labels], 0.0)
        return replace(embeddings, image=(embeddings.image + amount * pull).astype(np.float32))

    return change


def scaled(factor):
    def change(recipe, embeddings):
        return embeddings if recipe == "fp32" else replace(embeddings, logit_scale=factor * embeddings.logit_scale)

    return change


def verdicts(findings):
    return {(f.claim, f.title): f.verdict for f in findings}


def test_a_candidate_that_is_better_in_everything_holds_claim_one(planted):
    (finding,) = gains.all_at_once(planted(moved_to_class(0.15), 40.0))
    assert finding.verdict == "holds"
    assert finding.controls[0].lower <= 0.0 <= finding.controls[0].upper


@pytest.mark.parametrize("change", [same, moved_to_class(-0.15)])
def test_a_candidate_that_is_no_better_breaks_claim_one(planted, change):
    (finding,) = gains.all_at_once(planted(change))
    assert finding.verdict != "holds"
    if change is not same:
        assert finding.verdict == "broken"


@pytest.mark.parametrize(
    ("scale", "factor", "verdict"), [(6.0, 1.6, "holds"), (6.0, 0.6, "broken"), (40.0, 1.6, "holds")]
)
def test_the_sign_of_the_change_is_held_against_the_sign_of_the_confidence(planted, scale, factor, verdict):
    finding = next(iter(gains.sign_follows_confidence(planted(scaled(factor), scale))))
    assert finding.verdict == verdict
    refitted = finding.controls[0]
    assert refitted.lower <= 0.0 <= refitted.upper


def test_the_interaction_is_judged_over_models_of_both_signs(planted):
    under, over = planted(scaled(1.6), 6.0), planted(scaled(1.6), 40.0)
    sides = {"improves": [], "worsens": []}
    for bench, side in ((under, "improves"), (over, "worsens")):
        sides[side].append(bench.harm(bench.models[0], "w4a8-minmax", "id", "ece"))
    assert gains._interaction(sides).verdict == "holds"
    assert gains._interaction({"improves": sides["worsens"], "worsens": sides["improves"]}).verdict == "broken"


def test_training_is_held_against_rounding_at_equal_bits(planted):
    def change(recipe, embeddings):
        return replace(embeddings, logit_scale=(1.8 if "lsq" in recipe else 1.0) * embeddings.logit_scale)

    assert {f.verdict for f in gains.training_beats_rounding(planted(change, 6.0))} == {"holds"}
    assert {f.verdict for f in gains.training_beats_rounding(planted(change, 40.0))} == {"broken"}


def test_a_gain_under_shift_breaks_the_claim_that_there_is_none(planted):
    assert verdicts(limits.no_gain_under_shift(planted(moved_to_class(0.3)))) == {
        ("5", "Covariate shift sees no gain"): "broken"
    }
    assert set(verdicts(limits.no_gain_under_shift(planted(moved_to_class(-0.1)))).values()) == {"holds"}


def test_a_logit_scale_lost_with_the_text_tower_is_found_and_its_repair_seen(planted):
    def change(recipe, embeddings):
        lost = recipe.endswith("-both") and "tunescale" not in recipe
        return replace(embeddings, logit_scale=(0.3 if lost else 1.0) * embeddings.logit_scale)

    assert set(verdicts(limits.text_tower(planted(change))).values()) == {"holds"}
    assert "holds" not in verdicts(limits.text_tower(planted(same))).values()


def noisy(weak):
    """Noise that grows with rank, or falls."""

    def change(recipe, embeddings):
        if recipe == "fp32":
            return embeddings
        directions = principal_directions(embeddings.image.astype(np.float64))[1]
        signal = np.sqrt(((embeddings.image @ directions.T) ** 2).mean(axis=0))
        order = np.linspace(0.02, 0.6, len(directions))
        size = signal * (order if weak else order[::-1])
        noise = np.random.default_rng(1).normal(size=(len(embeddings.image), len(directions))) * size
        return replace(embeddings, image=(embeddings.image + noise @ directions).astype(np.float32))

    return change


@pytest.mark.parametrize(("weak", "verdict"), [(True, "holds"), (False, "broken")])
def test_noise_by_rank_is_read_on_the_references_directions(planted, weak, verdict):
    found = verdicts(spectrum.noise_by_rank(planted(noisy(weak))))
    assert found["7a", "Signal to quantization noise falls with rank"] == verdict


def test_a_model_beside_itself_holds_no_claim_of_a_change(planted):
    findings = judge_study(planted(same), lambda _: None)
    changes = [f for f in findings if f.claim in ("1", "3", "4", "6", "7a", "7b", "7d", "8")]
    assert changes
    assert all(f.verdict != "holds" for f in changes)


def test_noise_against_another_candidate_is_refused_rather_than_read_as_against_fp32(planted):
    bench = planted(same)
    with pytest.raises(UsageError, match="held against FP32 alone"):
        bench.harm(bench.models[0], "w8a8-lsq", NOISE, "mean_corruption_accuracy", against="w8a8-minmax")


def test_controls_do_what_their_names_say(planted):
    bench = planted(noisy(True))
    pair = bench.pair(bench.models[0], "w4a8-minmax", "id")
    assert np.linalg.matrix_rank(truncated(pair, 5).candidate.part.image, tol=1e-3) == 5
    matched = with_matched_noise(pair)
    directions = principal_directions(pair.reference.part.image.astype(np.float64))[1]
    energies = [
        (((side.part.image - pair.reference.part.image) @ directions.T) ** 2).mean(axis=0)
        for side in (pair.candidate, matched.candidate)
    ]
    np.testing.assert_allclose(energies[1], energies[0], rtol=0.25)
    assert not np.array_equal(matched.candidate.part.image, pair.candidate.part.image)
    permuted = with_permuted_labels(pair)
    assert sorted(permuted.reference.part.labels) == sorted(pair.reference.part.labels)
    assert permuted.harm("top1").reference.estimate < 0.2


def test_the_page_shows_every_finding_and_leaves_nothing_to_be_interpreted(planted):
    findings = judge_study(planted(same), lambda _: None)
    page = study_page([replace(f, subject="<b>|planted") for f in findings], "made by a test")
    assert len({f.claim for f in findings}) == page.count("\n## Claim ")
    assert all(f.title.split(" (")[0] in page for f in findings)
    assert "<b>" not in page
    assert len(CLAIMS) == 10
