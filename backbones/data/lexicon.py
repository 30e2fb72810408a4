"""Words that people rated, one by one: positive or negative, and how much."""

import json

from .images import package_file


def rated_words() -> dict[str, list[int]]:
    """7,209 English words and the ten ratings of each, whole numbers from -4 (very negative) to 4.

    In alphabetical order; entries with anything but ASCII letters, such as emoticons, are left out.

    Source: the lexicon of vaderSentiment (MIT), C. Hutto and E. Gilbert, VADER: A Parsimonious Rule-based
    Model for Sentiment Analysis of Social Media Text, ICWSM 2014.
    """
    words = {}
    text = package_file("vaderSentiment/vader_lexicon.txt").read_text(encoding="utf-8")
    for line in text.split("\n"):
        word, _, ratings = line.partition("\t")
        if word.isascii() and word.isalpha():
            words[word] = json.loads(ratings.split("\t")[2])
    return dict(sorted(words.items()))
