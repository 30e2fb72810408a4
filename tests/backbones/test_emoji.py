"""Names of emoji: real pairs, and that held-out names are of the kind that the docstring says."""

import pytest
from emoji import EMOJI_DATA

from backbones.data import Emoji
from backbones.data.vocabulary import BEGIN, END, UNKNOWN


def ready(language: str = "fr", **options) -> Emoji:
    data = Emoji(language, **options)
    data.setup()
    return data


FRENCH = ready()
EVERYTHING = [*FRENCH.train, *FRENCH.val, *FRENCH.test, *FRENCH.unseen]


def unknown(data: Emoji, item: tuple) -> tuple[bool, bool]:
    """Whether an English, and a foreign word of it is in no training name."""
    vocabularies = (data.source_vocabulary, data.target_vocabulary)
    return tuple(UNKNOWN in words.encode(text) for words, text in zip(vocabularies, item[:2], strict=True))


def test_sizes_and_what_a_pair_is():
    assert [len(part) for part in (FRENCH.val, FRENCH.test, FRENCH.unseen)] == [200, 200, 200]
    assert len(EVERYTHING) > 3900  # it grows with Unicode
    assert ("man farmer medium skin tone", "fermier peau légèrement mate", "👨🏽‍🌾") in EVERYTHING
    assert ("red heart", "cœur rouge", "❤️") in EVERYTHING
    assert all(EMOJI_DATA[emoji]["en"] == f":{name.replace(' ', '_')}:" for name, _, emoji in EVERYTHING)


def test_nothing_is_in_two_parts():
    for column in range(3):
        assert len({item[column] for item in EVERYTHING}) == len(EVERYTHING)


@pytest.mark.parametrize(
    "language", ["fr", "de", "es", "it", "pt", "ru", "tr", "id", "ja", "ko", "zh", "ar", "fa"]
)
def test_held_out_names_are_new_combinations_of_known_words(language):
    data = FRENCH if language == "fr" else ready(language)
    assert (len(data.val), len(data.test)) == (200, 200)
    for item in data.val + data.test:
        assert unknown(data, item) == (False, False), item
        assert "skin tone" in item[0]


def test_unseen_names_have_a_word_that_is_nowhere_else():
    assert all(unknown(FRENCH, item)[0] for item in FRENCH.unseen)


def test_a_batch():
    (tokens, lengths), target = FRENCH.collate([FRENCH.test[0], ("red heart", "cœur rouge", "❤️")])
    assert FRENCH.source_vocabulary.decode(tokens[1]) == "red heart"
    assert lengths[1] == 2
    assert (tokens[1, 2:] == 0).all()
    assert (target[1, 0], target[1, 3]) == (BEGIN, END)
    assert FRENCH.target_vocabulary.decode(target[1]) == "cœur rouge"
    assert FRENCH.target_vocabulary.decode(target[0]) == FRENCH.test[0][1].lower()
    (tokens, _), target = next(iter(FRENCH.test_dataloader()))
    assert len(tokens) == len(target) == 32


def test_the_same_each_time():
    again = ready(seed=5)
    again.setup("fit")
    assert (again.train, again.test, again.unseen) == (FRENCH.train, FRENCH.test, FRENCH.unseen)


@pytest.mark.parametrize("language", ["en", "french", "", None])
def test_an_unknown_language_is_answered_by_those_there_are(language):
    with pytest.raises(ValueError, match=r"no names of emoji in language .*: choose from ar, de, es, .*, zh"):
        Emoji(language)


def test_before_setup():
    with pytest.raises(AttributeError, match=r"no \.unseen yet: call setup"):
        Emoji().unseen  # noqa: B018
