"""Does the candidate stand noise as well as the reference does?"""

from reliability.plugin import claim


@claim("noise_accuracy")
def test_noisy_pictures_are_still_recognised(case, compare):
    """Quantization does not worsen accuracy on corrupted pictures, at any severity."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("noise_robustness")
def test_all_corruptions_together_cost_no_more_than_before(case, compare):
    """Quantization does not worsen errors over all corruptions of a group, seen on the same pictures."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("noise_calibration_error")
def test_confidence_under_noise_is_as_honest_as_before(case, compare):
    """Quantization does not worsen the calibration error on corrupted pictures."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
