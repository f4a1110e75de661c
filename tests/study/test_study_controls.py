"""Controls do what their names say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reliability.metrics.features import principal_directions
from reliability.study.controls import truncated, with_matched_noise, with_permuted_labels, with_permuted_membership


def shaken(recipe, embeddings):
    if recipe == "fp32":
        return embeddings
    noise = np.random.default_rng(1).normal(size=embeddings.image.shape) * np.linspace(0.01, 0.2, 96)
    return replace(embeddings, image=(embeddings.image + noise).astype(np.float32))


def test_a_truncated_model_has_so_many_directions(planted):
    pair = planted(shaken).pair("w4a8-minmax", "id")
    assert np.linalg.matrix_rank(truncated(pair, 5).candidate.part.image, tol=1e-3) == 5


def test_matched_noise_has_the_candidates_energy_in_each_direction_and_another_pattern(planted):
    pair = planted(shaken).pair("w4a8-minmax", "id")
    matched = with_matched_noise(pair)
    directions = principal_directions(pair.reference.part.image.astype(np.float64))[1]
    energies = [
        (((side.part.image - pair.reference.part.image) @ directions.T) ** 2).mean(axis=0)
        for side in (pair.candidate, matched.candidate)
    ]
    np.testing.assert_allclose(energies[1], energies[0], rtol=0.25)
    assert not np.array_equal(matched.candidate.part.image, pair.candidate.part.image)


def test_permuted_labels_are_the_same_labels_in_no_order(planted):
    pair = planted(shaken).pair("w4a8-minmax", "id")
    permuted = with_permuted_labels(pair)
    assert sorted(permuted.reference.part.labels) == sorted(pair.reference.part.labels)
    assert permuted.harm("top1").reference.estimate < 0.2


def test_permuted_membership_deals_the_same_pictures_and_leaves_nothing_to_tell_apart(planted):
    pair = planted(shaken).pair("w4a8-minmax", "ood/near")
    dealt = with_permuted_membership(pair)
    assert len(dealt.reference.part.ids) == len(pair.reference.part.ids)
    for side, before in ((dealt.reference, pair.reference), (dealt.candidate, pair.candidate)):
        rows, original = (np.concatenate([s.part.image, s.familiar.image]) for s in (side, before))
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(original, axis=0))
    found = dealt.harm("auroc", "mcm").reference
    assert abs(found.estimate - 0.5) < 0.03
    assert pair.harm("auroc", "mcm").reference.estimate > 0.6
