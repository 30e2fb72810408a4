"""Real sentences of reviews, each rated by many people."""

import hashlib
import json
import re
from typing import Any, NamedTuple

import torch

from ..archives import reviews_file
from .images import check_positive
from .splits import LabeledTexts

SIZES = {"films": (2000, 500), "products": (600, 200)}  # test and val; the rest is to train
NEUTRAL = 0.5  # a mean rating nearer to 0 than this is neither positive nor negative


class Review(NamedTuple):
    """One sentence: its text, its label (1 positive, 0 negative), and the mean of its ratings, -4 to 4."""

    text: str
    label: int
    rating: float


class Reviews(LabeledTexts):
    """Sentences of film reviews, or of product reviews: is what a sentence says positive or negative?

        data = Reviews(labels=512)
        data.setup()
        data.train[0]               # a Review: text, label, rating
        data.train_dataloader()     # gives ((tokens (B, T), lengths (B,)), labels (B,)), all int64

    People rated each sentence from -4 (very negative) to 4. Its label says on which side of 0 their mean is;
    sentences whose mean is nearer to 0 than 0.5 are left out, and so is a text without a letter, with an
    e-mail address, or with the same words as an earlier one.

        domain      sentences       positive    train / val / test      raters a sentence
        films       10,070          50 %        7,570 / 500 / 2,000     15 to 29
        products    2,967           59 %        2,151 / 215 / 601       20

    The parts are the same in every run. All sentences of one product review are in one part; which films the
    others are about is not known, so that a film may occur in two parts.

    Accuracy on the test part of "films": always "negative" 0.51; logistic regression on counts of words and
    of pairs of words, learned from all training sentences, 0.80; one person against the others
    (`human_ceiling`) 0.94. Of "products": always "positive" 0.60, then 0.79 and 0.94.

    Source: C. Hutto and E. Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
    Media Text, ICWSM 2014, in the source archive of vaderSentiment 3.3.2, MIT license. The sentences are
    quoted from reviews that Pang and Lee (rottentomatoes.com) and Hu and Liu (amazon.com) collected in 2004.
    """

    class_names = ("negative", "positive")

    def __init__(
        self,
        domain: str = "films",
        labels: int | None = None,
        vocabulary: Any = None,
        batch_size: int = 32,
        seed: int = 0,
    ):
        """
        Args:
            domain: "films" or "products".
            labels: keep so many training sentences, half of them positive as long as both last; None keeps
                all. A smaller number keeps a part of what a larger one keeps, so that a learning curve only
                adds sentences. val and test stay whole.
            vocabulary: what turns texts into numbers, by `.batch(texts)`: a Vocabulary, or the tokenizer of a
                pretrained backbone. None: the words of the training sentences that are kept.
            batch_size: sentences per batch.
            seed: chooses which training sentences `labels` keeps, and the order of training batches.

        Raises:
            ValueError: an option makes no sense; from setup() if `labels` is too large.
            ArchiveError: from setup(), where the reviews were not fetched; says by which command they are.
        """
        super().__init__()
        if domain not in SIZES:
            raise ValueError(f"there are no reviews of {domain!r}; there are {', '.join(map(repr, SIZES))}")
        check_positive(batch_size=batch_size, **({} if labels is None else {"labels": labels}))
        self.domain, self.labels, self.batch_size, self.seed = domain, labels, batch_size, seed
        self.vocabulary = vocabulary

    def setup(self, stage: str | None = None) -> None:
        """Read the sentences and make train, val, test and the vocabulary."""
        reviews, self._ratings = read_reviews(self.domain)
        test_size, val_size = SIZES[self.domain]
        self.test, rest = cut(reviews, test_size)
        self.val, rest = cut(rest, val_size)
        self.train = self._keep([review for _, review in rest])
        self.test, self.val = ([review for _, review in part] for part in (self.test, self.val))
        self.need_vocabulary()

    def human_ceiling(self) -> float:
        """How often one person's rating is on the same side of 0 as the mean of the others'.

        Counted over every single rating of every test sentence, each against the mean of all other ratings of
        that sentence. A rating of 0 takes no side and counts as half right, like the toss of a coin. No model
        can be expected to know these people better than they know one another.
        """
        right = count = 0
        for review in self.test:
            ratings = self._ratings[review.text]
            for rating in ratings:
                others = sum(ratings) - rating  # their sum has the sign of their mean
                right += 0.5 if rating * others == 0 else rating * others > 0
            count += len(ratings)
        return right / count

    def _keep(self, train: list[Review]) -> list[Review]:
        if self.labels is None:
            return train
        if self.labels > len(train):
            raise ValueError(
                f"labels={self.labels} is more than the {len(train)} training sentences there are"
            )
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed)).tolist()
        shuffled = [train[index] for index in order]
        # The first, second, ... of each class go together: half of any beginning is positive.
        seen, rank = [0, 0], {}
        for review in shuffled:
            rank[review] = seen[review.label]
            seen[review.label] += 1
        return sorted(shuffled, key=lambda review: (rank[review], review.label))[: self.labels]


def read_reviews(domain: str) -> tuple[list[tuple[str, Review]], dict[str, list[int]]]:
    """All sentences that count, each as (number of its review, Review), and the ratings of each text."""
    reviews, ratings, known = [], {}, set()
    with open(reviews_file(domain), encoding="utf-8", newline="\n") as file:
        for line in file:
            number, rated, text = line.rstrip("\n").split("\t")
            figures = json.loads(rated)
            mean = sum(figures) / len(figures)
            words = " ".join(re.findall(r"\w+", text.lower()))
            if abs(mean) < NEUTRAL or words in known or not re.search("[a-z]", words):
                continue
            if re.search(r"\w@\w", text):  # an address is nobody's business
                continue
            known.add(words)
            reviews.append((number.partition("_")[0], Review(text, int(mean > 0), mean)))
            ratings[text] = figures
    return reviews, ratings


def cut(reviews: list, size: int) -> tuple[list, list]:
    """Take at least `size` sentences out, whole reviews in an order that only their numbers decide."""
    ordered = sorted(reviews, key=lambda item: hashlib.sha256(item[0].encode()).digest())
    while size < len(ordered) and ordered[size][0] == ordered[size - 1][0]:
        size += 1
    return ordered[:size], ordered[size:]
