"""Do pictures still find their captions, and captions their pictures?"""

from reliability.plugin import claim


@claim("retrieval")
def test_pictures_and_captions_still_find_one_another(case, compare):
    """Quantization does not worsen recall, from pictures to captions and back."""
    verdict = compare(case).judge()
    assert verdict, verdict.explain()
