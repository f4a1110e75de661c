"""Agreement with other libraries where conventions agree, and each known disagreement, on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.metrics.calibration import reliability_bins
from reliability.metrics.probabilities import softmax
from reliability.metrics.registry import get
from reliability.torchvision_shim import ensure_torchvision_imports


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def torchmetrics(torch):
    ensure_torchvision_imports()
    functional = pytest.importorskip("torchmetrics.functional.classification")
    return lambda name, probabilities, labels, **options: float(
        getattr(functional, f"multiclass_{name}")(
            torch.tensor(probabilities), torch.tensor(labels), num_classes=len(probabilities[0]), **options
        )
    )


@pytest.fixture(scope="module")
def netcal():
    return pytest.importorskip("netcal.metrics")


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2000, 10))
    return logits, np.where(rng.random(2000) < 0.5, logits.argmax(axis=1), rng.integers(0, 10, 2000))


def logits_for(probabilities):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities), -1e4)


@pytest.mark.parametrize(("name", "norm"), [("ece", "l1"), ("mce", "max")])
def test_torchmetrics_has_the_same_bins_away_from_their_edges(torchmetrics, case, name, norm):
    logits, labels = case
    theirs = torchmetrics("calibration_error", softmax(logits), labels, n_bins=15, norm=norm)
    assert get(name).fn(logits, labels) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("top1", {"average": "micro"}),
        ("top5", {"average": "micro", "top_k": 5}),
        ("balanced_accuracy", {"average": "macro"}),
    ],
)
def test_torchmetrics_has_the_same_accuracies(torchmetrics, case, name, options):
    logits, labels = case
    assert get(name).fn(logits, labels) == pytest.approx(torchmetrics("accuracy", logits, labels, **options), abs=1e-6)


def test_torch_has_the_same_likelihood(torch, case):
    logits, labels = case
    theirs = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels))
    assert get("nll").fn(logits, labels) == pytest.approx(float(theirs), abs=1e-12)


def test_scikit_learn_has_the_same_brier_score_and_balanced_accuracy(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    logits, labels = case
    theirs = sklearn.brier_score_loss(labels, softmax(logits), labels=range(10), scale_by_half=False)
    assert get("brier").fn(logits, labels) == pytest.approx(theirs, abs=1e-12)
    theirs = sklearn.balanced_accuracy_score(labels, logits.argmax(axis=1))
    assert get("balanced_accuracy").fn(logits, labels) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("name", "theirs"), [("ece", "ECE"), ("mce", "MCE")])
def test_netcal_has_the_same_bins_away_from_their_edges(netcal, case, name, theirs):
    logits, labels = case
    value = getattr(netcal, theirs)(bins=15).measure(softmax(logits), labels)
    assert get(name).fn(logits, labels) == pytest.approx(value, abs=1e-12)


def test_disagreement_torchmetrics_puts_a_confidence_of_exactly_one_in_a_bin_of_its_own(torchmetrics, netcal):
    # Ten images at 1, one of them wrong, and ten at 0.95, all right: gaps 0.1 and -0.05 in the last bin.
    probabilities = np.array([[1.0, 0.0, 0.0]] * 10 + [[0.95, 0.05, 0.0]] * 9 + [[0.0, 0.05, 0.95]])
    labels = np.array([0] * 9 + [1] + [0] * 9 + [2])
    assert get("ece").fn(logits_for(probabilities), labels) == pytest.approx(0.025)
    assert netcal.ECE(bins=15).measure(probabilities, labels) == pytest.approx(0.025)
    theirs = torchmetrics("calibration_error", probabilities, labels, n_bins=15, norm="l1")
    assert theirs == pytest.approx(0.5 * 0.1 + 0.5 * 0.05)


def test_disagreement_others_put_a_confidence_on_an_edge_in_the_bin_above_it(torchmetrics, netcal):
    # 0.5 is the edge of two bins. Wrong at 0.5 cancels part of right at 0.7, 0.6 and 0.55 only if they share a bin.
    probabilities = np.array([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.4, 0.6, 0.0], [0.2, 0.25, 0.55]])
    labels = np.array([1, 0, 1, 2])
    together = (0.3 + 0.4 + 0.45 - 0.5) / 4
    assert netcal.ECE(bins=2).measure(probabilities, labels) == pytest.approx(together)
    theirs = torchmetrics("calibration_error", probabilities, labels, n_bins=2, norm="l1")
    assert theirs == pytest.approx(together)
    bins = reliability_bins(logits_for(probabilities), labels, bins=2)
    assert bins.counts.tolist() == [1, 3]
    gaps = np.abs(bins.confidence - bins.accuracy)
    assert (bins.counts * gaps).sum() / 4 == pytest.approx((0.3 + 0.4 + 0.45 + 0.5) / 4)


def test_disagreement_netcal_takes_labels_of_two_values_for_a_binary_problem(netcal):
    probabilities = np.array([[0.1, 0.9], [0.7, 0.3], [0.6, 0.4]])
    labels = np.array([1, 0, 1])
    # Top label in one bin: confidence 0.733 against 2/3. netcal judges class 1: 0.533 against 2/3.
    bins = reliability_bins(logits_for(probabilities), labels, bins=1)
    assert abs(bins.confidence - bins.accuracy)[0] == pytest.approx(2.2 / 3 - 2 / 3)
    assert netcal.ECE(bins=1).measure(probabilities, labels) == pytest.approx(2 / 3 - 1.6 / 3)
    # With three classes of which two occur it refuses; ours is the same whichever labels occur.
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert get("ece").fn(logits_for(probabilities), [0, 1]) == pytest.approx(0.2)
    with pytest.raises(RuntimeError, match="binary classification"):
        netcal.ECE(bins=15).measure(probabilities, np.array([0, 1]))
