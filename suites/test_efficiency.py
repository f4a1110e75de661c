"""Do real kernels compute what was simulated, and what do they save?"""

from reliability.plugin import claim


@claim("kernel_parity")
def test_kernels_compute_what_was_simulated(case, compare):
    """A candidate on real kernels is as reliable as its own simulation, on which it was studied."""
    verdict = compare(case, against_simulation=True).judge()
    assert verdict, verdict.explain()


@claim("stored_size")
def test_kernels_store_less(case, compare):
    """A candidate on real kernels takes up less than its FP32 reference."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("speed")
def test_kernels_are_faster(case, compare):
    """A candidate on real kernels is faster than its FP32 reference, both timed in turn in this run."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
