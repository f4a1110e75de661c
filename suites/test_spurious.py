"""Does the candidate lean on spurious cues more than the reference does?"""

from reliability.plugin import claim


@claim("worst_group")
def test_worst_group_is_not_left_behind(case, compare):
    """Quantization does not worsen the accuracy of the group that fares worst."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("spurious_gap")
def test_spurious_gap_does_not_widen(case, compare):
    """Quantization does not widen the gap between pictures with and against the spurious cue."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("relative_spurious_gap")
def test_no_larger_share_of_accuracy_hangs_on_the_cue(case, compare):
    """Quantization does not raise the share of its accuracy that a model loses where the cue misleads."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("added_vulnerability")
def test_accuracy_is_not_lost_first_where_the_cue_misleads(case, compare):
    """Quantization does not cost pictures against the cue more of their accuracy than pictures with it."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
