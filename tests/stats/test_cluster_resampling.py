from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.bootstrap import interval, jackknife_influence, paired_replicates, resample_weights
from reliability.stats.resampling import MIN_CLUSTERS


def mean_statistic(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


@pytest.fixture
def ids():
    """70 clusters of one to four images, in no order."""
    rng = np.random.default_rng(0)
    return rng.permutation(np.repeat(np.arange(70), rng.integers(1, 5, size=70)))


def test_images_of_a_cluster_are_drawn_together(ids):
    weights = resample_weights(len(ids), 130, seed=1, clusters=ids)
    for name in np.unique(ids):
        members = weights[:, ids == name]
        assert (members == members[:, :1]).all()


def test_a_resample_holds_as_many_clusters_as_there_are(ids):
    weights = resample_weights(len(ids), 50, seed=1, clusters=ids)
    _, first = np.unique(ids, return_index=True)
    assert (weights[:, first].sum(axis=1) == 70).all()


def test_every_image_its_own_cluster_is_no_cluster_at_all():
    np.testing.assert_array_equal(
        resample_weights(80, 120, seed=2, clusters=np.arange(80)), resample_weights(80, 120, seed=2)
    )


def test_names_of_clusters_may_be_strings_and_rows_in_any_order(ids):
    weights = resample_weights(len(ids), 60, seed=3, clusters=ids)
    names = np.array([f"picture-{i:03d}" for i in ids])
    order = np.random.default_rng(1).permutation(len(ids))
    shuffled = resample_weights(len(ids), 60, seed=3, clusters=names[order])
    np.testing.assert_array_equal(shuffled, weights[:, order])


def test_strata_have_clusters_of_their_own(ids):
    seen = paired_replicates([lambda a, b: a[:, 0] * 1000.0 + b[:, 0]], (len(ids), 9), 130, 2, [ids, None])[0]
    a = resample_weights(len(ids), 130, seed=2, stratum=0, clusters=ids)
    b = resample_weights(9, 130, seed=2, stratum=1)
    np.testing.assert_array_equal(seen, a[:, 0] * 1000.0 + b[:, 0])


def test_the_standard_error_is_that_of_cluster_means():
    rng = np.random.default_rng(4)
    pictures, versions = 400, 5
    values = np.repeat(rng.normal(size=pictures), versions) + 0.1 * rng.normal(size=pictures * versions)
    clusters = np.repeat(np.arange(pictures), versions)
    statistic, sizes = [mean_statistic(values)], (len(values),)
    expected = values.reshape(pictures, versions).mean(axis=1).std() / np.sqrt(pictures)
    assert paired_replicates(statistic, sizes, 1000, clusters=[clusters]).std() == pytest.approx(expected, rel=0.1)
    influence = jackknife_influence(statistic, sizes, clusters=[clusters])[0]
    assert np.sqrt((influence**2).sum()) == pytest.approx(expected, rel=0.2)
    assert paired_replicates(statistic, sizes, 1000).std() < 0.6 * expected


def test_the_jackknife_leaves_out_whole_clusters(ids):
    def both_or_none(weights):
        for name in np.unique(ids):
            members = weights[:, ids == name]
            assert (members == members[:, :1]).all()
        return weights.sum(axis=1).astype(float)

    influence = jackknife_influence([both_or_none], (len(ids),), groups=200, clusters=[ids])
    assert influence.shape == (1, 70)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=200, max_size=260), st.integers(0, 1000))
def test_equal_models_differ_by_nothing_whatever_the_clusters(drawn, seed):
    clusters = np.concatenate([np.arange(100), drawn])
    values = np.random.default_rng(seed).normal(size=len(clusters))
    first, second = paired_replicates(
        [mean_statistic(values), mean_statistic(values.copy())], (len(values),), 40, seed, [clusters]
    )
    assert interval(0.0, second - first, 0.95).upper == 0.0


@pytest.mark.parametrize("count", [1, 2, MIN_CLUSTERS - 1])
def test_few_clusters_are_refused_however_many_images_they_hold(count):
    clusters = np.arange(5000) % count
    with pytest.raises(UndefinedMetricError, match="need at least") as caught:
        paired_replicates([mean_statistic(np.ones(5000))], (5000,), clusters=[clusters])
    assert str(count) in str(caught.value)


def test_ids_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="one cluster id per image"):
        resample_weights(100, 10, seed=0, clusters=np.arange(99))
    with pytest.raises(UsageError, match="for every stratum"):
        paired_replicates([mean_statistic(np.ones(100))], (100,), clusters=[None, None])
