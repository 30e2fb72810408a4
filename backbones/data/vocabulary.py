"""Texts as numbers: a vocabulary gives every word, or every character, its place in a list."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

PAD, UNKNOWN, BEGIN, END = range(4)  # ids that every vocabulary has
SPECIAL = ("<pad>", "<unknown>", "<begin>", "<end>")
IGNORED = -100  # the answer at positions that do not count; torch's cross-entropy leaves it out as well

_WORD = re.compile(r"\w+(?:['’]\w+)*|\S")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; every punctuation mark and emoji is a word of its own."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Each token's number: 0 to 3 are `<pad>`, `<unknown>`, `<begin>`, `<end>`, then come the words."""

    def __init__(self, words: Iterable[str], split: Callable[[str], Sequence[str]] = words_of):
        """
        Args:
            words: in the order of their ids, the first gets 4; each once.
            split: cuts a text into tokens; `list` for characters.
        """
        self.words, self.split = [*SPECIAL, *words], split
        self._ids = {word: number for number, word in enumerate(self.words)}
        if len(self._ids) < len(self.words):
            double, _ = Counter(self.words).most_common(1)[0]
            raise ValueError(f"{double!r} is in the vocabulary more than once: give every word one number")

    @classmethod
    def of(
        cls, texts: Iterable[str], split: Callable[[str], Sequence[str]] = words_of, at_least: int = 1
    ) -> "Vocabulary":
        """The vocabulary of these texts, commonest token first.

        Args:
            texts: of the training part only: what a model meets later may be unknown to it.
            split: as above.
            at_least: how often a token must occur; rarer ones are unknown.
        """
        counts = Counter(token for text in texts for token in split(text))
        common = [token for token, count in counts.items() if count >= at_least]
        return cls(sorted(common, key=lambda token: (-counts[token], token)), split)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of a text's tokens; a text without any is one unknown token, never nothing."""
        if not isinstance(text, str):
            raise TypeError(f"a vocabulary encodes a text, not {type(text).__name__}; a list goes to batch()")
        return [self._ids.get(token, UNKNOWN) for token in self.split(text)] or [UNKNOWN]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids up to `<end>`, without padding; characters joined, words with spaces between."""
        tokens = []
        for number in map(int, ids):
            if number == END:
                break
            if number not in (PAD, BEGIN):
                tokens.append(self.words[number])
        return ("" if self.split is list else " ").join(tokens)

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens int64 (B, T), padded with 0, and how many of each row are real, int64 (B,)."""
        if isinstance(texts, str):
            raise TypeError(f"batch() takes a list of texts: batch([{texts[:20]!r}])")
        return pad([self.encode(text) for text in texts])


def pad(rows: Sequence[Sequence[int]], value: int = PAD) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as one tensor.

    Args:
        rows: at least one, of whole numbers.
        value: fills up what is short.
    Returns:
        int64 (B, T) with T the longest row's length, and the lengths, int64 (B,).
    """
    if not len(rows):
        raise ValueError("there is no text to make a batch of: give one at least")
    lengths = torch.tensor([len(row) for row in rows])
    filled = torch.full((len(rows), int(lengths.max())), value)
    for row, numbers in zip(filled, rows, strict=True):
        row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return filled, lengths
