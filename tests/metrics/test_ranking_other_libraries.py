"""Where other libraries share our conventions of ranking metrics, and where they are known not to.

Each disagreement is a test, so that a reader finds which number is which. When a library
changes its mind its test fails, and docs/metrics.md is due for a change too.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from reliability.metrics.ood import aupr_in, auroc, autc, fpr95, fpr95_ood_positive
from reliability.metrics.selective import accuracy_at_coverage, augrc, aurc, coverage_at_risk


def library(name):
    """A library that imports torchvision, whose compiled part may not load here."""
    if find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    return pytest.importorskip(name)


def separation(decimals=9):
    rng = np.random.default_rng(0)
    return np.round(rng.uniform(0.3, 1.0, 400), decimals), np.round(rng.uniform(0.0, 0.8, 300), decimals)


def joined(inside, outside, dtype="float64"):
    """Scores as one tensor, and 1 for familiar."""
    import torch

    scores = torch.tensor(np.concatenate([inside, outside]).astype(dtype))
    return scores, torch.tensor([1] * len(inside) + [0] * len(outside))


def answers(n=400, decimals=9):
    """Two-class probabilities whose largest is the confidence, labels, and both columns of ours."""
    import torch

    rng = np.random.default_rng(1)
    confidence = np.round(rng.uniform(0.51, 1.0, n), decimals)
    correct = rng.random(n) < confidence
    probabilities = torch.tensor(np.stack([confidence, 1 - confidence], axis=1))
    return probabilities, torch.tensor(np.where(correct, 0, 1)), confidence, correct


@pytest.mark.parametrize("decimals", [1, 9])
def test_torchmetrics_agrees_on_scores_inside_the_unit_interval(decimals):
    theirs, (inside, outside) = library("torchmetrics.functional.classification"), separation(decimals)
    scores, familiar = joined(inside, outside)
    assert auroc(inside, outside) == pytest.approx(float(theirs.binary_auroc(scores, familiar)), abs=1e-6)
    expected = float(theirs.binary_average_precision(scores, familiar))
    assert aupr_in(inside, outside) == pytest.approx(expected, abs=1e-6)


def test_torchmetrics_squashes_energies_into_ties_and_ours_are_ranked_as_they_are():
    theirs = library("torchmetrics.functional.classification")
    rng = np.random.default_rng(2)
    inside, outside = (rng.normal(mean, 3, 2000).astype(np.float32) for mean in (26, 22))
    squashed = float(theirs.binary_auroc(*joined(inside, outside, "float32")))
    assert squashed < 0.55
    assert auroc(inside, outside) > 0.8


@pytest.mark.parametrize("decimals", [1, 9])
def test_pytorch_ood_agrees_on_auroc_autc_and_fpr95_with_ood_positive(decimals):
    theirs, (inside, outside) = library("pytorch_ood.metrics.functional"), separation(decimals)
    scores, familiar = joined(-inside, -outside)
    for ours, name in ((auroc, "auroc"), (autc, "autc"), (fpr95_ood_positive, "fpr_at_tpr")):
        assert ours(inside, outside) == pytest.approx(float(getattr(theirs, name)(scores, familiar - 1)), abs=1e-9)


def test_pytorch_ood_draws_straight_lines_through_the_precision_curve():
    theirs, inside, outside = library("pytorch_ood.metrics.functional"), [2.0, 1.0, 0.0], [1.0, 0.0, 0.0]
    scores, familiar = joined(np.negative(inside), np.negative(outside))
    # Precision 1, 2/3 and 1/2 at recall 1/3, 2/3 and 1: steps end there, straight lines join them.
    assert aupr_in(inside, outside) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    straight = (1 + (1 + 2 / 3) / 2 + (2 / 3 + 1 / 2) / 2) / 3
    assert float(theirs.aupr(scores, familiar - 1, positive="id")) == pytest.approx(straight)


@pytest.mark.parametrize("decimals", [1, 9])
def test_torch_uncertainty_agrees_on_fpr95_from_both_ends(decimals):
    theirs, (inside, outside) = library("torch_uncertainty.metrics.classification"), separation(decimals)
    scores, familiar = joined(inside, outside)
    assert fpr95(inside, outside) == pytest.approx(float(theirs.FPR95(pos_label=1)(scores, familiar)), abs=1e-6)
    flagged = float(theirs.FPR95(pos_label=1)(-scores, 1 - familiar))
    assert fpr95_ood_positive(inside, outside) == pytest.approx(flagged, abs=1e-6)


def test_torch_uncertainty_agrees_at_fixed_coverage_and_risk_where_nothing_ties():
    theirs, (probabilities, labels, *columns) = library("torch_uncertainty.metrics.classification"), answers()
    risk = float(theirs.RiskAt80Cov()(probabilities, labels))
    assert accuracy_at_coverage(*columns) == pytest.approx(1 - risk, abs=1e-6)
    assert coverage_at_risk(*columns) == pytest.approx(float(theirs.CovAt5Risk()(probabilities, labels)), abs=1e-6)


def test_torch_uncertainty_has_no_coverage_where_ours_is_zero():
    theirs = library("torch_uncertainty.metrics.classification")
    probabilities, labels, confidence, correct = answers(n=3)
    labels[:] = 1
    assert np.isnan(float(theirs.CovAt5Risk()(probabilities, labels)))
    assert coverage_at_risk(confidence, np.zeros_like(correct)) == 0.0


@pytest.mark.parametrize(("ours", "name"), [(aurc, "AURC"), (augrc, "AUGRC")])
def test_torch_uncertainty_stretches_its_areas_from_one_image_to_the_whole_axis(ours, name):
    theirs, gaps = library("torch_uncertainty.metrics.classification"), []
    for n in (20, 2000):
        probabilities, labels, *columns = answers(n)
        metric = getattr(theirs, name)()
        gaps.append(abs(float(metric(probabilities, labels)) - ours(*columns)))
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-3


def test_torch_uncertainty_lets_the_order_of_rows_decide_where_confidence_ties():
    theirs = library("torch_uncertainty.metrics.classification")
    import torch

    probabilities, wrong_last = torch.tensor([[0.75, 0.25]] * 10), torch.tensor([0] * 5 + [1] * 5)
    values = [float(theirs.AURC()(probabilities, labels)) for labels in (wrong_last, wrong_last.flip(0))]
    assert abs(values[0] - values[1]) > 0.3
    assert aurc([0.75] * 10, [1] * 5 + [0] * 5) == aurc([0.75] * 10, [0] * 5 + [1] * 5) == 0.5
