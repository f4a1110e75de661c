"""Did the candidate run in the low precision that its recipe claims?"""

from reliability.plugin import claim


@claim("coverage")
def test_what_the_recipe_claims_ran_quantized(case, compare):
    """Every product that the recipe quantizes ran quantized, in range and on its grid; the rest is declared float."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("clipping")
def test_grids_clip_few_inputs(case, compare):
    """No layer's grid cuts off more of its inputs than it says."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
