"""Claims of "Less Precise Can Be More Reliable" (arXiv 2509.21173), one candidate at a time.

All are observed: a bound of a threshold file may make one a gate. Those that join
several claims or models are judged by `reliability study`.
"""

from reliability.plugin import claim


@claim("study_improves_accuracy")
def test_quantization_improves_accuracy(case, compare):
    """A quantized model recognises more than its FP32 original."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_improves_calibration_error")
def test_quantization_improves_calibration_error(case, compare):
    """A quantized model has a smaller calibration error; the study ties this to underconfident originals."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_improves_calibration_error_after_temperature")
def test_calibration_error_improves_though_both_temperatures_are_refitted(case, compare):
    """The gain is more than a temperature: it stays where both models have theirs refitted."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_improves_ood_separation")
def test_quantization_improves_ood_separation(case, compare):
    """A quantized model tells unfamiliar pictures apart better."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_improves_noise_accuracy")
def test_quantization_improves_accuracy_under_noise(case, compare):
    """A quantized model recognises more corrupted pictures."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_no_gain_under_shift")
def test_covariate_shift_sees_no_gain(case, compare):
    """Under covariate shift the quantized model is not better by more than a trifle."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_spurious_gap_does_not_shrink")
def test_spurious_gap_does_not_shrink(case, compare):
    """Quantization does not make a model lean less on a spurious cue."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("study_text_tower_costs_calibration")
def test_quantized_text_tower_costs_calibration(case, compare):
    """With the text tower quantized too, the calibration error is another."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
