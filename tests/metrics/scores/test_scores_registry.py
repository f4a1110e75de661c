from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import reliability.metrics.scores as package
from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.scores import EMBEDDED, SCORES, Evidence, Training, fitted_score, get_score, registry, score
from reliability.types import Embeddings

PROMISED = {
    "msp", "max_logit", "energy", "mcm", "entropy", "margin", "gen", "gl_mcm", "neglabel", "kl_matching",
    "mahalanobis", "relative_mahalanobis", "knn", "vim", "residual", "fdbd", "nnguide", "she",
    "rank_ensemble",
}  # fmt: skip


@pytest.fixture
def scores(monkeypatch):
    """A registry of this test's own."""
    monkeypatch.setattr(registry, "SCORES", dict(SCORES))
    return registry.SCORES


def embeddings(labels):
    features = np.array([[3.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    count = np.arange(2)
    return Embeddings(features, np.eye(2, dtype=np.float32), 50.0, np.array(labels), count, np.array(["a", "b"]))


def test_every_promised_score_is_registered():
    assert set(SCORES) == PROMISED


def test_scores_that_use_the_logit_scale_are_these():
    using = {"msp", "energy", "entropy", "margin", "gen", "kl_matching", "vim", "nnguide", "rank_ensemble"}
    assert {name for name, found in SCORES.items() if found.uses_logit_scale} == using


def test_an_unknown_name_is_answered_with_close_matches():
    with pytest.raises(UsageError, match="did you mean mcm"):
        get_score("mcmm")


def test_one_decorated_function_is_a_new_score_and_its_parameters_are_its_needs(scores):
    @score
    def best_patch(cosines, patch_cosines):
        """Largest cosine of any patch."""
        return np.maximum(cosines.max(axis=1), patch_cosines.max(axis=(1, 2)))

    assert best_patch([[0.1, 0.2]], 1.0, patch_cosines=[[[0.3, 0.4]]]).tolist() == [0.4]
    found = scores["best_patch"]
    assert (found.needs, found.uses_logit_scale) == ({"patch_cosines"}, False)
    assert found.summary == "Largest cosine of any patch."


def test_one_decorated_function_is_a_new_fitted_score(scores):
    @fitted_score("features")
    def alignment(features, logit_scale):
        """Scaled cosine with the mean training feature."""
        mean = logit_scale * features.mean(axis=0)
        return lambda features: features @ mean

    fn = alignment(Training.of(embeddings([0, 1])))
    assert fn(Evidence.of(embeddings([0, 1]))).tolist() == [25.0, 25.0]
    assert scores["alignment"].needs == {"features", "training"}
    assert scores["alignment"].uses_logit_scale


@pytest.mark.usefixtures("scores")
def test_a_score_that_ends_up_non_finite_is_an_error_not_a_number():
    @score
    def broken(cosines):
        """Not a number for the second image."""
        return np.where(np.arange(len(cosines)) == 1, np.nan, 0.0)

    with pytest.raises(UndefinedMetricError) as caught:
        broken([[0.1, 0.2]] * 3, 1.0)
    assert caught.value.where == "broken: image[1]"


def test_embeddings_hold_what_the_gate_has_at_hand():
    evidence = Evidence.of(embeddings([0, -1]))
    held = {name for name, value in vars(evidence).items() if value is not None}
    assert held == {"cosines", "logit_scale"} | EMBEDDED
    assert evidence.logit_scale == 50.0
    assert evidence.cosines.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert get_score("msp").fn(evidence).tolist() == get_score("msp").fn(evidence.cosines, 50.0).tolist()


def test_a_training_image_without_a_label_is_refused():
    with pytest.raises(UndefinedMetricError) as caught:
        get_score("she").fit(Training.of(embeddings([0, -1])))
    assert caught.value.where == "she: training.labels[1]"


def test_a_feature_without_direction_is_refused():
    with pytest.raises(UndefinedMetricError, match="no direction") as caught:
        get_score("she").fit(Training([[1.0, 0.0], [0.0, 0.0]], [0, 1], np.eye(2), 1.0))
    assert caught.value.where == "she: training.features[1]"


def test_images_of_another_model_than_the_training_set_are_refused(world):
    fn = world.scorer("residual")
    with pytest.raises(UndefinedMetricError, match="number of dimensions"):
        fn(world.familiar.cosines, 25.0, features=world.familiar.features[:, :-1])
    with pytest.raises(UndefinedMetricError, match="number of classes") as caught:
        fn(world.familiar.cosines[:, :-1], 25.0, features=world.familiar.features)
    assert caught.value.where == "residual: training.cosines, cosines"


def test_signatures_show_what_a_caller_passes():
    assert list(inspect.signature(get_score("mcm").fn).parameters)[:2] == ["cosines", "logit_scale"]
    assert list(inspect.signature(get_score("knn").fit).parameters) == ["training"]


def test_examples_in_docstrings_of_scores_are_true():
    tried = 0
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0
        tried += result.attempted
    assert tried >= len(SCORES)
