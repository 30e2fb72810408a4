"""Sentences made by a grammar, in which nothing but the order of the words says what is positive."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from .images import check_positive
from .lexicon import rated_words
from .splits import LabeledTexts

# Adjectives that fit all topics; whether they are positive, the people who rated them decided.
_WORDS = """
good great wonderful brilliant excellent delightful charming clever elegant funny lovely enjoyable fantastic
fabulous impressive creative thoughtful beautiful graceful powerful glorious gorgeous superb perfect amusing
exciting fascinating entertaining intelligent vibrant
bad terrible awful horrible boring dull dreary lame ugly weak messy stupid charmless joyless meaningless
useless ridiculous annoying irritating disappointing embarrassing frustrating idiotic pitiful painful
unpleasant horrendous clueless dumb nasty
"""
ADJECTIVES = _WORDS.split()
TOPICS = ["plot", "acting", "music", "ending", "dialogue", "cast"]
TOPICS += ["script", "story", "humor", "pace", "opening", "photography"]
STRONG = ("very", "really", "extremely")
WEAK = ("slightly", "somewhat", "a bit")
# The main clause decides, the other one says the opposite.
CONTRASTS = {
    "but": "{side}, but {main}.",
    "although first": "although {side}, {main}.",
    "although last": "{main}, although {side}.",
}
PREDICATES = {
    "plain": "is {word}",
    "strong": "is {strong} {word}",
    "not": "is not {opposite}",
    "not only": "is not only {word} but also {another}",
}
OTHERS = ("instead", "degree")
GROUPS = 5  # of adjectives: which two groups meet in a sentence decides its part


class Sentence(NamedTuple):
    """A text, its label (1 positive, 0 negative), and what it is built like."""

    text: str
    label: int
    construction: str


def constructions() -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Those to train on, and those held out, whose parts are known from others: (contrast, main, side)."""
    known, held_out = [(name,) for name in OTHERS], []
    for i, contrast in enumerate(CONTRASTS):
        for j, main in enumerate(PREDICATES):
            for k, side in enumerate(PREDICATES):
                (held_out if (i + j + k) % 4 == 3 else known).append((contrast, main, side))
    return known, held_out


class Sentences(LabeledTexts):
    """Sentences about films, made by a grammar: on the whole, is it praise or not?

        "The plot is not dull, but the acting is bad."                        negative
        "The acting is bad, but the plot is not dull."                        positive
        "The story is not only clever but also funny, although the cast is weak."     positive
        "The music is slightly ugly and the pace is very good."               positive
        "The ending is not good but dumb."                                    negative

    For every sentence there is another of the same words in the same part, with the other label. So whoever
    sees the words without their order is right in exactly half of the cases: a bag of words gets 0.50 on the
    test part, like always the same answer. Logistic regression on words and pairs of neighboring words gets
    0.74, with triples 0.93; a GRU of width 64 gets 1.00 after two epochs, a few seconds.

    It is a toy: 60 adjectives, 12 topics, 50 constructions. The adjectives are from `rated_words`, and the
    ten people who rated them say which are positive.

        train   `count` sentences
        val     400, with pairs of words (one of each clause) that never meet in train
        test    1,000, with pairs that never meet in train or val; half of them in constructions that are held
                out: each clause and each conjunction is known from train, but not together

    Attributes: held_out, the names of constructions that occur in the test part only.
    """

    class_names = ("negative", "positive")
    held_out = frozenset(", ".join(names) for names in constructions()[1])

    def __init__(self, count: int = 4000, vocabulary: Any = None, batch_size: int = 32, seed: int = 0):
        """
        Args:
            count: training sentences, an even number; fewer are the beginning of more.
            vocabulary: what turns texts into numbers, by `.batch(texts)`; None: the training sentences'
            words. batch_size: sentences per batch.
            seed: chooses the training sentences and the order of training batches; val and test stay.

        Raises:
            ValueError: an option makes no sense.
        """
        super().__init__()
        check_positive(count=count, batch_size=batch_size)
        if count % 2:
            raise ValueError(f"count={count} is odd: sentences come in pairs, one for each label")
        self.count, self.vocabulary, self.batch_size, self.seed = count, vocabulary, batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Make train, val, test and the vocabulary."""
        known, held_out = constructions()
        self.train = take(self.count, pairs(f"train {self.seed}", known, meetings=(2, 3, 4)))
        self.val = take(400, pairs("val", known, meetings=(1,)))
        self.test = take(500, pairs("test", known, meetings=(0,)))
        self.test += take(500, pairs("held out", held_out, meetings=(0,)))
        self.need_vocabulary()


def take(count: int, sentences: Iterator[tuple[Sentence, Sentence]]) -> list[Sentence]:
    """The first `count` sentences, without those that came before."""
    found = {}
    while len(found) < count:
        found |= {sentence.text: sentence for sentence in next(sentences)}
    return list(found.values())


def pairs(
    seed: str, known: list[tuple[str, ...]], meetings: tuple[int, ...]
) -> Iterator[tuple[Sentence, Sentence]]:
    """Two sentences of the same words, again and again: the first positive, the second negative.

    Args:
        seed: of the choices.
        known: constructions to choose from.
        meetings: which groups of adjectives may meet: those whose numbers add up to one of these, modulo 5.
    """
    rng = random.Random(seed)
    ratings = rated_words()
    good, bad = ([word for word in ADJECTIVES if sum(ratings[word]) * sign > 0] for sign in (1, -1))
    while True:
        names = rng.choice(known)
        first = rng.randrange(GROUPS)
        second = (rng.choice(meetings) - first) % GROUPS
        topics = rng.sample(TOPICS, 2)
        if names[0] in CONTRASTS:
            praise = clause(rng, topics[0], names[1], good[first::GROUPS], bad[first::GROUPS])
            blame = clause(rng, topics[1], names[2], bad[second::GROUPS], good[second::GROUPS])
            texts = [
                CONTRASTS[names[0]].format(main=main, side=side)
                for main, side in ((praise, blame), (blame, praise))
            ]
        else:
            words = rng.choice(good[first::GROUPS]), rng.choice(bad[second::GROUPS])
            texts = other(rng, names[0], topics, words)
        positive, negative = (text[0].upper() + text[1:] for text in texts)
        construction = ", ".join(names)
        # The clauses of the second are exchanged, and so are their names.
        exchanged = ", ".join((names[0], *names[:0:-1]))
        yield Sentence(positive, 1, construction), Sentence(negative, 0, exchanged)


def clause(rng: random.Random, topic: str, predicate: str, words: list[str], opposites: list[str]) -> str:
    """A clause that says of a topic what `words` say."""
    word, another = rng.sample(words, 2)
    filled = PREDICATES[predicate].format(
        word=word, another=another, opposite=rng.choice(opposites), strong=rng.choice(STRONG)
    )
    return f"the {topic} {filled}"


def other(rng: random.Random, name: str, topics: list[str], words: tuple[str, str]) -> list[str]:
    """The two sentences, positive and negative, that are no contrast of two clauses."""
    good, bad = words
    if name == "instead":
        return [f"the {topics[0]} is not {bad} but {good}.", f"the {topics[0]} is not {good} but {bad}."]
    degrees = rng.choice(STRONG), rng.choice(WEAK)  # the stronger word decides, wherever it stands
    order = rng.choice((1, -1))
    texts = []
    for weighed in (words, (bad, good)):
        said = [f"{degree} {word}" for degree, word in zip(degrees, weighed, strict=True)][::order]
        texts.append(f"the {topics[0]} is {said[0]} and the {topics[1]} is {said[1]}.")
    return texts
