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
