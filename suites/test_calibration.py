"""Does the candidate's confidence still mean what it says?"""

from reliability.plugin import claim


@claim("calibration_error")
def test_confidence_is_as_honest_as_before(case, compare):
    """Quantization does not worsen the expected calibration error."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("likelihood")
def test_true_class_keeps_its_probability(case, compare):
    """Quantization does not worsen the negative log-likelihood of the true class."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("confidence_sign")
def test_confidence_does_not_drift(case, compare):
    """Quantization does not make a model over- or underconfident: confidence minus accuracy stays."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
