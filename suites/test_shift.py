"""Does the candidate carry over to pictures of another kind as well as the reference does?"""

from reliability.plugin import claim


@claim("shift_accuracy")
def test_shifted_pictures_are_still_recognised(case, compare):
    """Quantization does not worsen accuracy under covariate shift."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("shift_calibration_error")
def test_confidence_under_shift_is_as_honest_as_before(case, compare):
    """Quantization does not worsen the calibration error under covariate shift."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
