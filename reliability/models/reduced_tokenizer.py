"""CLIP's own tokenizer over a cut vocabulary.

A small model's token embedding over CLIP's 49,408 tokens would be most of its
checkpoint. The zoo keeps only the tokens its captions use, so the tokenizer
maps CLIP's token numbers to a dense range. A word outside it is an error:
embedding it as something else would be a silent wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from reliability.errors import DataError

_START, _END, _PAD = 49406, 49407, 0


def tokens_used(texts: Iterable[str]) -> list[int]:
    """CLIP's numbers of the tokens that occur in the texts, ascending, without markers."""
    from open_clip.tokenizer import SimpleTokenizer

    encode = SimpleTokenizer().encode
    return sorted({token for text in set(texts) for token in encode(text)})


class ReducedTokenizer:
    """Callable like open_clip's tokenizers: texts in, int64 [N, context_length] out.

    Args:
        vocabulary: CLIP's token numbers that the model knows, ascending.
        context_length: Width of the output, in tokens.

    Conventions:
        0 pads, 1.. are the vocabulary, then start and end of text; end of text
        is the largest number, as open_clip's pooling expects.
    """

    def __init__(self, vocabulary: Sequence[int], context_length: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._base = SimpleTokenizer(context_length=context_length)
        self.context_length = context_length
        known = [*vocabulary, _START, _END]
        self._dense = {token: index for index, token in enumerate(known, start=1)} | {_PAD: 0}
        self.vocab_size = len(known) + 1

    def __call__(self, texts: str | Sequence[str]) -> torch.Tensor:
        """Tokenise texts.

        Raises:
            DataError: A word outside the vocabulary.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        rows = self._base(texts).tolist()
        return torch.tensor([self._dense_row(row, text) for row, text in zip(rows, texts, strict=True)])

    def _dense_row(self, row: list[int], text: str) -> list[int]:
        unknown = [self._base.decode([token]).strip() for token in row if token not in self._dense]
        if unknown:
            raise DataError(
                where="the zoo model's tokenizer",
                what="a text uses a word that this model's cut vocabulary does not hold",
                got=f"{', '.join(sorted(set(unknown)))} in {text!r}",
                next="use class names from the model's own training captions, or a model with CLIP's full vocabulary",
            )
        return [self._dense[token] for token in row]
