"""Does the candidate still recognise what the reference recognises?"""

from reliability.plugin import claim


@claim("accuracy")
def test_familiar_pictures_are_still_recognised(case, compare):
    """Quantization does not worsen zero-shot accuracy on familiar pictures."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()


@claim("agreement")
def test_answers_stay_the_same(case, compare):
    """Quantization changes the answer on few pictures, even where accuracy is kept."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
