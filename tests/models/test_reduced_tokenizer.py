from __future__ import annotations

from typing import Any

import pytest

from reliability.errors import DataError

TEXTS = ["a photo of a striped red star on sand", "a blue ring", "Striped, RED star!", "an octagon"]
LENGTH = 12
START, END = 49406, 49407
# It makes open_clip importable.
pytestmark = pytest.mark.usefixtures("clips_own")


@pytest.fixture(scope="module")
def clips_own() -> Any:
    """open_clip's tokenizer over the full vocabulary."""
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=LENGTH)


@pytest.fixture(scope="module")
def vocabulary() -> list[int]:
    from reliability.models.reduced_tokenizer import tokens_used

    return tokens_used(TEXTS)


@pytest.fixture(scope="module")
def reduced(vocabulary: list[int]) -> Any:
    from reliability.models.reduced_tokenizer import ReducedTokenizer

    return ReducedTokenizer(vocabulary, LENGTH)


def test_the_vocabulary_is_what_the_texts_use(clips_own: Any, vocabulary: list[int]) -> None:
    from reliability.models.reduced_tokenizer import tokens_used

    assert vocabulary == sorted({token for text in TEXTS for token in clips_own.encode(text)})
    assert not {START, END} & set(vocabulary)
    assert tokens_used(iter([*TEXTS, *TEXTS])) == vocabulary
    assert tokens_used([]) == []


def test_tokens_are_clips_own_with_other_numbers(clips_own: Any, reduced: Any, vocabulary: list[int]) -> None:
    import torch

    got, expected = reduced(TEXTS), clips_own(TEXTS)
    number = torch.tensor([0, *vocabulary, START, END])
    assert got.dtype == torch.int64
    assert got.shape == (len(TEXTS), LENGTH)
    assert torch.equal(number[got], expected)
    assert int(got.max()) < reduced.vocab_size == len(number)


def test_end_of_text_is_the_largest_number_and_stands_where_clips_own_does(clips_own: Any, reduced: Any) -> None:
    import torch

    got, expected = reduced(TEXTS), clips_own(TEXTS)
    assert (got.max(dim=1).values == reduced.vocab_size - 1).all()
    assert torch.equal(got.argmax(dim=1), expected.argmax(dim=1))


def test_a_text_that_is_too_long_still_ends(reduced: Any) -> None:
    row = reduced("a photo of a striped red star on sand " * 3)[0]
    assert row[-1] == reduced.vocab_size - 1
    assert (row[:-1] < reduced.vocab_size - 1).all()


def test_one_text_is_a_batch_of_one(reduced: Any) -> None:
    import torch

    assert torch.equal(reduced("a blue ring"), reduced(["a blue ring"]))


@pytest.mark.parametrize(
    ("text", "word"), [("a photo of a zebra", "zebra"), ("a red star on grass", "grass"), ("a blue Ring ?", "?")]
)
def test_an_unknown_word_is_named_with_its_text(reduced: Any, text: str, word: str) -> None:
    with pytest.raises(DataError, match="cut vocabulary") as caught:
        reduced(["a blue ring", text])
    assert caught.value.got == f"{word} in {text!r}"
