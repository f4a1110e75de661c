"""Does the candidate still tell unfamiliar pictures from familiar ones?"""

from reliability.plugin import claim


@claim("ood_separation")
def test_unfamiliar_images_are_still_told_apart(case, compare):
    """Quantization does not worsen the AUROC of familiar against unfamiliar pictures."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("ood_false_acceptance")
def test_unfamiliar_images_are_not_accepted_more_often(case, compare):
    """Quantization does not let more unfamiliar pictures in where 95 % of the familiar ones pass."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("ood_fitted_separation")
def test_scores_fitted_on_familiar_pictures_still_tell_them_apart(case, compare):
    """Quantization does not worsen the AUROC of scores that learn from each model's own features."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("ood_hybrid_separation")
def test_an_ensemble_of_scores_still_tells_them_apart(case, compare):
    """Quantization does not worsen the AUROC of several scores averaged by rank."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
