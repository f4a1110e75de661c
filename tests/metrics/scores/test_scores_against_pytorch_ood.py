"""Agreement with pytorch-ood, whose scores are higher for the unfamiliar; where it differs, how.

It works in single precision, and is given features of norm 1.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("pytorch_ood") is None:
    pytest.skip("pytorch-ood is not installed", allow_module_level=True)

import torch

from reliability.torchvision_shim import ensure_torchvision_imports

ensure_torchvision_imports()
detector = pytest.importorskip("pytorch_ood.detector")

SINGLE = {"rtol": 2e-3, "atol": 2e-4}


def tensor(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def theirs(world):
    """Their score, with the sign turned, of the familiar and the unfamiliar images."""
    images = (world.familiar, world.unfamiliar)

    def of_logits(detect):
        return np.concatenate([-detect(tensor(25.0 * e.cosines)).numpy() for e in images])

    def of_features(fitted):
        return np.concatenate([-fitted.predict_features(tensor(unit(e.features))).numpy() for e in images])

    return {"logits": of_logits, "features": of_features}


@pytest.fixture
def ours(world):
    return lambda name: np.concatenate([world.scorer(name)(e) for e in (world.familiar, world.unfamiliar)])


@pytest.fixture
def head(world):
    linear = torch.nn.Linear(*world.familiar.text.T.shape)
    linear.weight.data = tensor(25.0 * world.familiar.text)
    linear.bias.data.zero_()
    return linear


@pytest.fixture
def bank(world):
    return tensor(unit(world.training.features)), torch.as_tensor(world.training.labels)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("msp", "MaxSoftmax"), ("energy", "EnergyBased"), ("entropy", "Entropy")],
)
def test_scores_of_logits_agree(name, kind, ours, theirs):
    np.testing.assert_allclose(ours(name), theirs["logits"](getattr(detector, kind)(None).predict_logits), **SINGLE)


def test_max_logit_is_ours_times_the_logit_scale(ours, theirs):
    np.testing.assert_allclose(25.0 * ours("max_logit"), theirs["logits"](detector.MaxLogit.score), **SINGLE)


def test_gen_differs_in_a_mean_for_our_sum_and_in_probabilities_clamped_to_1e_7(ours, theirs, world):
    got = 5 * theirs["logits"](detector.GEN(None).predict_logits)
    p = np.exp(25.0 * np.concatenate([world.familiar.cosines, world.unfamiliar.cosines]))
    p = np.clip(p / p.sum(axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    np.testing.assert_allclose(got, -((p * (1 - p)) ** 0.1).sum(axis=1), rtol=0.05)
    gap = np.abs(got - ours("gen"))
    assert gap[:40].max() > 0.1
    assert gap[40:].max() < 0.1


def test_mcm_agrees(ours, theirs, world):
    np.testing.assert_allclose(
        ours("mcm"), theirs["features"](detector.MCM(None, tensor(world.familiar.text))), **SINGLE
    )


def test_kl_matching_agrees(ours, theirs, world):
    fitted = detector.KLMatching(None).fit_logits(tensor(25.0 * world.training.cosines))
    np.testing.assert_allclose(ours("kl_matching"), theirs["logits"](fitted.predict_logits), **SINGLE)


def test_knn_agrees(ours, theirs, bank):
    np.testing.assert_allclose(ours("knn"), theirs["features"](detector.KNN(None, k=50).fit_features(*bank)), **SINGLE)


def test_nnguide_agrees(ours, theirs, bank, head):
    fitted = detector.NNGuide(None, head, k=10).fit_features(*bank)
    fitted.encoder = torch.nn.Identity()
    np.testing.assert_allclose(ours("nnguide"), theirs["features"](fitted), **SINGLE)


def test_she_agrees(ours, theirs, bank, head):
    np.testing.assert_allclose(ours("she"), theirs["features"](detector.SHE(None, head).fit_features(*bank)), **SINGLE)


def test_fdbd_agrees(ours, theirs, bank, head):
    fitted = detector.fDBD(torch.nn.Identity(), head).fit_features(bank[0])
    np.testing.assert_allclose(ours("fdbd"), theirs["features"](fitted), **SINGLE)


def test_vim_agrees_at_our_number_of_principal_dimensions(ours, theirs, bank, head):
    fitted = detector.ViM(None, d=6, w=head.weight, b=head.bias).fit_features(*bank)
    np.testing.assert_allclose(ours("vim"), theirs["features"](fitted), rtol=2e-3, atol=0.05)


def test_mahalanobis_differs_in_a_half_and_in_an_undivided_covariance(ours, theirs, bank):
    fitted = detector.Mahalanobis(None).fit_features(*bank)
    np.testing.assert_allclose(ours("mahalanobis"), 2 * 400 * theirs["features"](fitted), rtol=5e-3)


def test_relative_mahalanobis_differs_in_an_undivided_covariance(ours, theirs, bank):
    fitted = detector.RMD(None).fit_features(*bank)
    np.testing.assert_allclose(ours("relative_mahalanobis"), 400 * theirs["features"](fitted), rtol=0.02, atol=2.0)
