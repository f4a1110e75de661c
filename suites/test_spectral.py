"""Which directions of the features does quantization weaken? Observed: none of it is a fault by itself."""

from reliability.plugin import claim


@claim("spectral_noise_falls_on_weak_directions")
def test_noise_weighs_more_the_weaker_a_direction(case, compare):
    """Signal to quantization noise falls with rank on the reference's directions."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("spectral_first_directions_classify_better")
def test_first_directions_classify_better(case, compare):
    """The candidate's eight strongest directions alone recognise more than the reference's."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("spectral_tail_classifies_worse")
def test_weak_directions_classify_worse(case, compare):
    """What lies beyond 64 directions recognises less than it did in the reference."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("spectral_effective_rank")
def test_effective_rank_changes(case, compare):
    """Features spread over more or fewer directions than before."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
