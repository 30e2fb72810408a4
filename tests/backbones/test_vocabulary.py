"""Texts become numbers and texts again."""

import pytest

from backbones.data.vocabulary import BEGIN, END, PAD, UNKNOWN, Vocabulary, pad, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It isn't bad.", ["it", "isn't", "bad", "."]),
        ("Good, good!!", ["good", ",", "good", "!", "!"]),
        ("ÜBER-Größe 12", ["über", "-", "größe", "12"]),
        ("ok👍🙂", ["ok", "👍", "🙂"]),
        ("映画 кино", ["映画", "кино"]),
        (" \n\t", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_commonest_first_then_by_alphabet():
    vocabulary = Vocabulary.of(["b a b", "c a b"])
    assert vocabulary.words[4:] == ["b", "a", "c"]
    assert vocabulary.encode("c b zebra") == [6, 4, UNKNOWN]
    assert Vocabulary.of(["b a b", "c a b"], at_least=2).words[4:] == ["b", "a"]
    assert len(vocabulary) == 7


def test_there_and_back():
    words = Vocabulary.of(["the film is fine"])
    assert words.decode([BEGIN, *words.encode("fine film"), END, 7, 7]) == "fine film"
    letters = Vocabulary.of(["Zoë"], split=list)
    assert letters.decode([*letters.encode("Zoë"), PAD]) == "Zoë"


def test_a_text_of_nothing_is_one_unknown_word():
    vocabulary = Vocabulary.of(["film"])
    tokens, lengths = vocabulary.batch(["", "film film", "   "])
    assert tokens.tolist() == [[UNKNOWN, PAD], [4, 4], [UNKNOWN, PAD]]
    assert lengths.tolist() == [1, 2, 1]


def test_what_cannot_be_meant_is_explained():
    vocabulary = Vocabulary.of(["film"])
    with pytest.raises(TypeError, match="takes a list of texts"):
        vocabulary.batch("film")
    with pytest.raises(TypeError, match="a text, not int"):
        vocabulary.encode(5)
    with pytest.raises(ValueError, match="no text to make a batch of"):
        pad([])
    with pytest.raises(ValueError, match="'a' is in the vocabulary more than once"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ValueError, match="'<pad>'"):
        Vocabulary(["<pad>"])


def test_pad_with_another_value():
    tags, lengths = pad([[1], [2, 3]], value=-100)
    assert tags.tolist() == [[1, -100], [2, 3]]
    assert lengths.tolist() == [1, 2]
