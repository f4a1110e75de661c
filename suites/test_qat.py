"""What does quantization-aware training bring?"""

from reliability.plugin import claim


@claim("qat_improves_calibration_error")
def test_training_improves_calibration_error(case, compare):
    """A candidate trained with its quantizers has a smaller calibration error than its FP32 reference."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("qat_keeps_accuracy")
def test_training_keeps_accuracy(case, compare):
    """A candidate trained with its quantizers recognises as much as its FP32 reference."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
