"""Every claim of the study holds where it was planted and is broken where its opposite was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reliability.errors import UsageError
from reliability.metrics.features import principal_directions
from reliability.study import gains, limits, spectrum, variation
from reliability.study.across import interaction
from reliability.study.finding import Effect, Finding, Judged
from reliability.study.names import NOISE
from reliability.study.run import judge_all, judge_model


def same(_recipe, embeddings):
    return embeddings


def moved_to_class(amount, only=""):
    """Features moved towards (or away from) the text of their own class."""

    def change(recipe, embeddings):
        if recipe == "fp32" or only not in recipe:
            return embeddings
        known = embeddings.labels >= 0
        pull = np.where(known[:, None], embeddings.text[embeddings.labels], 0.0)
        return replace(embeddings, image=(embeddings.image + amount * pull).astype(np.float32))

    return change


def scaled(factor, only=""):
    def change(recipe, embeddings):
        known = recipe == "fp32" or only not in recipe
        return embeddings if known else replace(embeddings, logit_scale=factor * embeddings.logit_scale)

    return change


def leaning(strength):
    """Counter pictures lose their class by so much, and more so under four bits."""

    def change(recipe, embeddings):
        if recipe == "fp32" or not (embeddings.groups >= 0).any():
            return embeddings
        amount = strength * (2.0 if recipe.startswith("w4") else 1.0)
        known = (embeddings.labels >= 0) & (embeddings.groups > 0)
        pull = np.where(known[:, None], embeddings.text[embeddings.labels], 0.0)
        return replace(embeddings, image=(embeddings.image - amount * pull).astype(np.float32))

    return change


def test_a_candidate_that_is_better_in_everything_holds_claims_one_and_four(planted):
    bench = planted(moved_to_class(0.15), 40.0)
    for claim in (gains.all_at_once, gains.training_improves_three):
        found = claim(bench)
        assert found.verdict == "holds"
        assert found.p_value <= 0.05
    permuted = gains.all_at_once(bench).controls[-1]
    assert permuted.lower <= 0.0 <= permuted.upper


@pytest.mark.parametrize("change", [same, moved_to_class(-0.15)])
def test_a_candidate_that_is_no_better_breaks_claim_one(planted, change):
    found = gains.all_at_once(planted(change))
    assert found.verdict != "holds"
    if change is not same:
        assert found.verdict == "broken"


@pytest.mark.parametrize(
    ("scale", "factor", "verdict"), [(6.0, 1.6, "holds"), (6.0, 0.6, "broken"), (40.0, 1.6, "holds")]
)
def test_the_sign_of_the_change_is_held_against_the_sign_of_the_confidence(planted, scale, factor, verdict):
    found = gains.sign_follows_confidence(planted(scaled(factor), scale), "w4a8-minmax")
    assert found.verdict == verdict
    refitted = found.controls[0]
    assert refitted.lower <= 0.0 <= refitted.upper


def sign_finding(harm, relation):
    return Finding(
        "2", "sign", "m", Judged("holds", (Effect("e", "ece", harm, harm - 0.01, harm + 0.01, relation),), (), "")
    )


def test_the_interaction_is_judged_over_models_of_both_signs():
    under, over = sign_finding(-0.05, "improves"), sign_finding(0.05, "worsens")
    assert interaction([under, over]).verdict == "holds"
    assert "Of 2 models, 1 of them underconfident, 2 move as claimed" in interaction([under, over]).meaning
    assert interaction([sign_finding(0.05, "improves"), sign_finding(-0.05, "worsens")]).verdict == "broken"
    assert interaction([sign_finding(-0.005, "improves"), sign_finding(0.005, "worsens")]).verdict == "inconclusive"
    assert interaction([under, under]).verdict == "inconclusive"


def test_detection_may_improve_where_calibration_got_worse(planted):
    both = moved_to_class(0.1)

    def change(recipe, embeddings):
        found = both(recipe, embeddings)
        return found if recipe == "fp32" else replace(found, logit_scale=10.0 * found.logit_scale)

    assert gains.detection_despite_calibration(planted(change, 24.0)).verdict == "holds"
    assert gains.detection_despite_calibration(planted(moved_to_class(-0.3), 40.0)).verdict == "broken"


def test_training_is_held_against_rounding_at_equal_bits(planted):
    change = scaled(1.8, only="lsq")
    assert gains.training_beats_rounding(planted(change, 6.0), "w8a8").verdict == "holds"
    assert gains.training_beats_rounding(planted(change, 40.0), "w8a8").verdict == "broken"


def test_a_gain_under_shift_breaks_the_claim_that_there_is_none(planted):
    assert limits.no_gain_under_shift(planted(moved_to_class(0.3)), "w8a8-minmax").verdict == "broken"
    assert limits.no_gain_under_shift(planted(moved_to_class(-0.1)), "w8a8-minmax").verdict == "holds"
    assert limits.no_gain_under_shift(planted(same), "w8a8-minmax").verdict == "holds"


def test_a_cue_that_weighs_more_with_fewer_bits_is_seen_to_grow(planted):
    worse, better = planted(leaning(0.3)), planted(leaning(-0.3))
    assert limits.spurious_grows(worse).verdict == "holds"
    assert limits.spurious_grows(better).verdict == "broken"
    assert limits.spurious_does_not_shrink(worse, "w8a8-minmax").verdict == "holds"
    assert limits.spurious_does_not_shrink(better, "w8a8-minmax").verdict == "broken"
    assert limits.rotation_holds_the_gap(worse).verdict == "broken"
    assert limits.rotation_holds_the_gap(better).verdict == "holds"


def test_corruptions_that_gain_and_lose_are_named(planted):
    found = limits.noise(planted(moved_to_class(0.3)), "w4a8-minmax")
    assert found.verdict == "holds"
    assert "gains on gaussian_noise 1" in found.meaning
    relative = found.effects[1]
    assert relative.metric == "relative_accuracy"
    assert relative.upper < 0.0
    lost = limits.noise(planted(moved_to_class(-0.3)), "w4a8-minmax")
    assert lost.verdict == "broken"
    assert "loses on" in lost.meaning


def test_the_relative_loss_is_the_share_of_the_references_accuracy(planted):
    found = limits.noise(planted(moved_to_class(-0.3)), "w4a8-minmax")
    absolute, relative = found.effects[:2]
    reference = planted(moved_to_class(-0.3)).harm("w4a8-minmax", NOISE, "mean_corruption_accuracy").reference
    assert relative.estimate == pytest.approx(absolute.estimate / reference.estimate)


def test_a_logit_scale_lost_with_the_text_tower_is_found_and_its_repair_seen(planted):
    def change(recipe, embeddings):
        lost = recipe.endswith("-both") and "tunescale" not in recipe
        return replace(embeddings, logit_scale=(0.3 if lost else 1.0) * embeddings.logit_scale)

    for claim in (limits.text_tower_costs, limits.tuning_repairs, limits.fair_comparison):
        assert claim(planted(change), "w4a8").verdict == "holds"
    assert limits.text_tower_costs(planted(same), "w4a8").verdict != "holds"
    assert limits.tuning_repairs(planted(same), "w4a8").verdict != "holds"
    spoilt = planted(scaled(0.3, only="-both"), 6.0)
    assert limits.fair_comparison(spoilt, "w4a8").verdict == "broken"


def noisy(weak, only=""):
    """Noise that grows with rank, or falls."""

    def change(recipe, embeddings):
        if recipe == "fp32" or only not in recipe:
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
    found = spectrum.noise_by_rank(planted(noisy(weak)), "w4a8-minmax")
    assert found.verdict == verdict
    assert found.controls[0].lower > spectrum.TREND, "noise alike in all directions shows the trend, too"


def test_rotation_that_takes_the_noise_away_keeps_more_directions(planted):
    assert spectrum.rotation_delays(planted(noisy(True, only="minmax"))).verdict == "holds"
    assert spectrum.rotation_delays(planted(noisy(True, only="hadamard"))).verdict == "broken"
    assert spectrum.rotation_delays(planted(noisy(True))).verdict == "broken"


def test_the_first_directions_and_the_tail_are_judged_apart(planted):
    better, worse = planted(moved_to_class(0.5)), planted(moved_to_class(-0.5))
    assert spectrum.first_directions(better, "w8a8-lsq").verdict == "holds"
    assert spectrum.first_directions(worse, "w8a8-lsq").verdict == "broken"
    names = {control.name for control in spectrum.first_directions(better, "w8a8-lsq").controls}
    assert {"FP32 cut to rank 8", "FP32 with noise of the same spectrum", "w8a8-noise (float, no grid)"} <= names


def insides(energy, noise):
    """Maps whose upper bands hold so many times as much under training, and weights with noise by rank."""

    def inside(kind, recipe):
        signal = np.linspace(9.0, 1.0, 24)
        if kind == "weights":
            return {"conv/signal": signal, "conv/noise": noise, "conv/values": signal}
        rng = np.random.default_rng(0)
        factor = np.array([1.0, 1.0, 1.0, energy, energy]) if "lsq" in recipe else np.ones(5)
        pooled = rng.normal(size=(200, 12)) * np.linspace(2.0, 0.5, 12)
        moved = 0.0 if recipe == "fp32" else 0.1
        return {
            "stage.0/pooled": pooled + moved * np.random.default_rng(1).normal(size=pooled.shape),
            "stage.0/energy": rng.uniform(1.0, 2.0, size=(200, 5)) * factor,
        }

    return inside


def test_maps_that_get_smoother_and_weights_whose_weak_directions_drown_are_seen(planted):
    even, odd = np.ones(24), np.linspace(9.0, 1.0, 24) ** 3
    smoother, rougher = planted(same, inside=insides(0.5, even)), planted(same, inside=insides(2.0, odd))
    assert spectrum.low_frequencies(smoother, "w4a8-lsq").verdict == "holds"
    assert spectrum.low_frequencies(rougher, "w4a8-lsq").verdict == "broken"
    assert spectrum.noise_in_weights(smoother, "w4a8-minmax").verdict == "holds"
    assert spectrum.noise_in_weights(rougher, "w4a8-minmax").verdict == "broken"
    assert spectrum.noise_by_rank_in_layers(smoother, "w4a8-minmax").verdict == "holds"


def drawn(spread):
    """Candidates of one recipe whose draws move towards the class by different amounts."""

    def change(recipe, embeddings):
        if recipe == "fp32":
            return embeddings
        amount = 0.3 + spread * (int(recipe.rpartition("-s")[2]) - 2 if "-s" in recipe else -2)
        return moved_to_class(amount)(recipe, embeddings)

    return change


def test_variance_is_attributed_to_draws_where_draws_differ_and_to_pictures_where_not(planted):
    alike, apart = (variation.outlasts_draws(planted(drawn(spread)), "w4a8-minmax", 5, "draw") for spread in (0.0, 0.4))
    shares = [
        next(c.estimate for c in found.controls if c.metric == "share" and " top1 " in c.name)
        for found in (alike, apart)
    ]
    assert shares[0] == pytest.approx(0.0, abs=1e-9)
    assert shares[1] > 0.9
    assert alike.verdict == "holds"
    assert apart.verdict == "inconclusive"


def test_permuted_labels_let_nothing_out(planted):
    found = variation.nothing_from_permuted_labels(planted(moved_to_class(0.15), 40.0))
    assert found.verdict == "holds"
    assert any("familiar and unfamiliar" in effect.name for effect in found.effects)


def test_a_model_beside_itself_holds_no_claim_of_a_change(planted):
    study = judge_all([judge_model(planted(same, count=300))])
    changes = [f for f in study.findings if f.claim in ("1", "3", "4", "6", "7a", "7b", "7c", "7d", "7e")]
    assert changes
    assert all(f.verdict != "holds" for f in changes), [f.title for f in changes if f.verdict == "holds"]


def test_noise_against_another_candidate_is_refused_rather_than_read_as_against_fp32(planted):
    bench = planted(same)
    with pytest.raises(UsageError, match="held against FP32 alone"):
        bench.harm("w8a8-lsq", NOISE, "mean_corruption_accuracy", against="w8a8-minmax")
