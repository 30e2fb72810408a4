"""Sentences with a tag for every word: which of them name a person, a place, an organization, a date?"""

import hashlib
import random
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .images import check_positive
from .splits import SplitData
from .vocabulary import IGNORED, Vocabulary, pad, words_of

KINDS = ("PER", "LOC", "ORG", "DATE")
TAG_NAMES = ("O", *(f"{begin}-{kind}" for kind in KINDS for begin in "BI"))
CLAUSES = (
    "{PER} was born in {LOC}",
    "{PER} joined {ORG}",
    "{ORG} hired {PER}",
    "{ORG} opened an office in {LOC}",
    "{PER} told reporters that {ORG} would leave {LOC}",
    "the road from {LOC} to {LOC} was closed",
    "shares of {ORG} rose after {PER} resigned",
    "{LOC} elected {PER} as its mayor",
    "{ORG} bought {ORG} for {NUMBER} million dollars",
    "{PER} married {PER}",
    "{PER} , who lives in {LOC} , sued {ORG}",
    "{NUMBER} people left {LOC}",
    "the board of {ORG} met in {LOC}",
    "{PER} flew from {LOC} to {LOC}",
    "heavy rain fell in {LOC}",
    "a court ordered {ORG} to pay {PER} {NUMBER} dollars",
)
FRAMES = (
    "{CLAUSE} .",
    "on {DAY} , {CLAUSE} .",
    "in {MONTH} , {CLAUSE} .",
    "{CLAUSE} on {DAY} .",
    "{CLAUSE} in {MONTH} .",
    "according to {PER} , {CLAUSE} .",
    "{CLAUSE} , a spokesman for {ORG} said .",
    "{CLAUSE} , the mayor of {LOC} said .",
)
HELD_OUT = {(i, j) for i in range(len(CLAUSES)) for j in range(len(FRAMES)) if (i + j) % 4 == 3}
MONTHS = "January February March April May June July August September October November December"
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
# What a name can be part of. {name}: one that could be any kind; {first}: a given name.
FORMS = {
    "PER": ("{first} {name}", "{first} {name}", "{name}"),
    "LOC": ("{name}", "{name}", "{before} {name}", "{name} {after}"),
    "ORG": ("{name}", "{name} {company}", "{name} and {other}", "University of {name}", "Bank of {name}"),
    "DAY": ("{day} {month} {year}", "{month} {day} , {year}", "{weekday}", "{weekday} , {month} {day}"),
    "MONTH": ("{month} {year}", "{year}", "{month}"),
}
PARTS = {
    "before": ("North", "West", "Port", "Lake", "New"),
    "after": ("Falls", "Valley", "Heights", "County"),
    "company": ("Group", "Inc", "Ltd", "Bank", "Airlines"),
}


class Tagged(NamedTuple):
    """The words of a sentence, and for each of them the number of its tag in `tag_names`."""

    words: tuple[str, ...]
    tags: tuple[int, ...]


@cache
def names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Given names, and all names (given, family, towns, countries), of one word, in an order by checksum."""

    def provider(kind: str, where: str) -> Any:
        return import_module(f"faker.providers.{kind}.{where}").Provider

    people = [provider("person", where) for where in ("en_US", "de_DE", "fr_FR", "es_ES", "it_IT")]
    first = {name for each in people for name in each.first_names}
    family = {name for each in people for name in each.last_names}
    places = {*provider("address", "de_DE").cities, *provider("address", "en").countries}
    return tuple(
        tuple(sorted(filter(_one_word, each), key=_checksum)) for each in (first, first | family | places)
    )


def _one_word(name: str) -> bool:
    return len(name) > 2 and words_of(name) == [name.lower()]


def _checksum(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.lower().encode()).digest()[:8], "big")


class Tags(SplitData):
    """Made-up news in which names are to be found: the tag of each word depends on the words around it.

        Maria   Jordan   was   born   in   Jordan   .          the same name can be a person's, a place's,
        B-PER   I-PER    O     O      O    B-LOC    O          an organization's: "Jordan hired ..."

    Tags in BIO: B- begins a name, I- goes on with it, O is no part of one; of persons (PER), places (LOC),
    organizations (ORG) and dates (DATE).

        train   `count` sentences
        val     500, all names of which are unknown from train
        test    1,000, all names of which are unknown from train and val; the last 500 are built in ways that
                are held out: each clause and each frame around it is known from train, but not together

    A toy: 16 clauses in 8 frames, 96 of the 128 combinations in train, and 7,400 real names. Some names are
    common and most are rare, as in life. A model has to read what is around a name: of all words in val and
    test that are part of a name, only months, years, "North", "Bank" and the like are known to it.

    Entity F1 on the test part (a name counts if its kind, its first and its last word are right): each word's
    commonest tag in train, and O for unknown words, 0.12; a GRU of width 64 that reads from left to right
    0.86 after two epochs, some seconds; one that reads in both directions 1.00.

    Source: names from Faker's lists of given and family names (en_US, de_DE, fr_FR, es_ES, it_IT), German
    towns and countries of the world, MIT license.

    Attributes: tag_names; vocabulary.
    """

    tag_names = TAG_NAMES

    def __init__(self, count: int = 4000, vocabulary: Any = None, batch_size: int = 32, seed: int = 0):
        """
        Args:
            count: training sentences; fewer are the beginning of more.
            vocabulary: what turns texts into numbers, by `.batch(texts)`, one number a word. None: the words
                that occur in the training sentences at least three times, in small letters.
            batch_size: sentences per batch.
            seed: chooses the training sentences and the order of training batches; val and test stay.

        Raises:
            ValueError: an option makes no sense.
        """
        super().__init__()
        check_positive(count=count, batch_size=batch_size)
        self.count, self.vocabulary, self.batch_size, self.seed = count, vocabulary, batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Make train, val, test and the vocabulary."""
        self.train = take(self.count, tagged(f"train {self.seed}", (2, 3, 4), held_out=False))
        self.val = take(500, tagged("val", (1,), held_out=False))
        self.test = take(500, tagged("test", (0,), held_out=False))
        self.test += take(500, tagged("held out", (0,), held_out=True))
        if self.vocabulary is None:
            self.vocabulary = Vocabulary.of((" ".join(item.words) for item in self.train), at_least=3)

    def collate(self, items: list[Tagged]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Make ((tokens (B, T), lengths (B,)), tags (B, T)), all int64; tags are -100 where there is no word.

        Raises:
            ValueError: the vocabulary cuts a sentence into another number of tokens than it has words.
        """
        tokens, lengths = self.vocabulary.batch([" ".join(item.words) for item in items])
        tags, counts = pad([item.tags for item in items], IGNORED)
        if not torch.equal(lengths, counts):
            item = items[int((lengths != counts).nonzero()[0])]
            raise ValueError(
                f"{' '.join(item.words)!r} has {len(item.words)} words and a tag for each, but the "
                "vocabulary makes another number of tokens of it: use one that gives one token per word"
            )
        return (tokens, lengths), tags


def take(count: int, sentences: Iterator[Tagged]) -> list[Tagged]:
    """The first `count` sentences, each once."""
    found: dict[Tagged, None] = {}
    while len(found) < count:
        found[next(sentences)] = None
    return list(found)


def tagged(seed: str, groups: tuple[int, ...], held_out: bool) -> Iterator[Tagged]:
    """Sentences without end.

    Args:
        seed: of the choices.
        groups: which fifths of the names occur, of 0 to 4.
        held_out: whether to build them in the ways that are held out, or in the others.
    """
    rng = random.Random(seed)
    first, every = ([name for name in each if _checksum(name) % 5 in groups] for each in names())
    ways = [
        (clause, frame)
        for i, clause in enumerate(CLAUSES)
        for j, frame in enumerate(FRAMES)
        if ((i, j) in HELD_OUT) == held_out
    ]

    def some(pool: list[str]) -> str:
        return pool[int(len(pool) * rng.random() ** 3)]  # the cube: some are common, many are rare

    def entity(kind: str) -> list[str]:
        choices = {part: rng.choice(options) for part, options in PARTS.items()}
        choices |= {"day": rng.randint(1, 28), "year": rng.randint(1950, 2029)}
        choices |= {"month": rng.choice(MONTHS.split()), "weekday": rng.choice(WEEKDAYS.split())}
        choices |= {"first": some(first), "name": some(every), "other": some(every)}
        return rng.choice(FORMS[kind]).format(**choices).split()

    while True:
        clause, frame = rng.choice(ways)
        words, tags = [], []
        for part in frame.replace("{CLAUSE}", clause).split():
            slot = re.fullmatch(r"{(\w+)}", part)
            if slot is None or slot[1] == "NUMBER":
                words.append(part if slot is None else str(rng.randint(2, 2029)))
                tags.append(0)
                continue
            kind = "DATE" if slot[1] in ("DAY", "MONTH") else slot[1]
            name = entity(slot[1])
            words += name
            tags += [TAG_NAMES.index(f"B-{kind}")] + [TAG_NAMES.index(f"I-{kind}")] * (len(name) - 1)
        words[0] = words[0][0].upper() + words[0][1:]
        yield Tagged(tuple(words), tuple(tags))
