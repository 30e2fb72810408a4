"""Family names of eight languages, letter by letter: what a language model learns to invent."""

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor

from .images import check_positive
from .splits import SplitData
from .vocabulary import END, IGNORED, Vocabulary, pad

# Where Faker keeps them. Of Polish names it has those of men (Kowalski, not Kowalska) and those of everybody.
SOURCES = {
    "Dutch": ("nl_NL", "last_names"),
    "English": ("en_US", "last_names"),
    "Finnish": ("fi_FI", "last_names"),
    "French": ("fr_FR", "last_names"),
    "German": ("de_DE", "last_names"),
    "Italian": ("it_IT", "last_names"),
    "Polish": ("pl_PL", "male_last_names", "unisex_last_names"),
    "Spanish": ("es_ES", "last_names"),
}


class Names(SplitData):
    """9,413 family names of eight languages: 7,535 to train, 938 to validate, 940 to test.

    3,890 are Polish, 1,164 Italian, 1,085 Spanish, 1,070 Dutch, 1,000 English, 404 German, 400 French and 400
    Finnish. Items: (name, language), such as ("Kowalski", "Polish"). A name that several languages have (272
    of 9,093; 130 of them are English and Spanish) is there once for each, always in the same part, so that no
    name of val and test was seen in training.

    A batch is for a language model: ((tokens, lengths), next tokens). A name's tokens are its language's and
    then its characters; the answer to each is the token after it, and to the last `<end>`:

        tokens  <Polish>  K  o  w  a  l  s  k  i
        next       K      o  w  a  l  s  k  i  <end>

    Tokens are padded with 0, answers with -100, which cross-entropy leaves out.

    To beat, perplexity per character and `<end>` on test: 25.6 by counting how often each occurs in its
    language, 10.2 by counting pairs (10.4 triples). A GRU (128 wide) has 7.8 after five epochs of 5 seconds.

    Source: the lists from which the package Faker (MIT) draws; nothing is drawn here. The figures are those
    of its version 40.

    Attributes:
        languages: in the order of their tokens.
        vocabulary: after `setup()`: `<Polish>` and its like, and the characters of the training part.
    """

    languages = tuple(SOURCES)
    vocabulary: Vocabulary

    def __init__(self, batch_size: int = 64, seed: int = 0):
        """
        Args:
            batch_size: names per batch.
            seed: chooses the order of training batches.
        """
        super().__init__()
        check_positive(batch_size=batch_size)
        self.batch_size, self.seed = batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test; `stage` is Lightning's and all stages need the same."""
        of_language = {language: _names(*source) for language, source in SOURCES.items()}
        names = sorted(set().union(*of_language.values()))
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
        tenth = len(names) // 10
        self.test, self.val, self.train = (
            [
                (names[n], language)
                for n in part
                for language in self.languages
                if names[n] in of_language[language]
            ]
            for part in (order[:tenth], order[tenth : 2 * tenth], order[2 * tenth :])
        )
        characters = sorted({character for name, _ in self.train for character in name})
        self.vocabulary = Vocabulary(
            [f"<{language}>" for language in self.languages] + characters, split=list
        )

    def token_of(self, language: str) -> int:
        """The token that names of this language begin with.

        Raises:
            ValueError: for a language that is not there, listing those that are.
        """
        if language not in self.languages:
            raise ValueError(f"no names in {language!r}: choose from {', '.join(self.languages)}")
        return self.vocabulary.words.index(f"<{language}>")

    def collate(self, items: Sequence[tuple[str, str]]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Items as a batch; see above."""
        rows = [[self.token_of(language), *self.vocabulary.encode(name), END] for name, language in items]
        return pad([row[:-1] for row in rows]), pad([row[1:] for row in rows], IGNORED)[0]


def _names(locale: str, *lists: str) -> set[str]:
    """Family names of one of Faker's locales. ("Bourgondië, van": a few are entries of an index.)"""
    provider = import_module(f"faker.providers.person.{locale}").Provider
    return {name for which in lists for name in getattr(provider, which) if "," not in name}
