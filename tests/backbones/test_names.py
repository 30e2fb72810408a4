"""Family names: where they come from, that no part knows another's, and what a language model is given."""

from collections import defaultdict

import pytest
import torch
from faker.providers.person import fi_FI, pl_PL

from backbones.data import Names
from backbones.data.vocabulary import END, UNKNOWN

NAMES = Names()
NAMES.setup()
EVERYTHING = NAMES.train + NAMES.val + NAMES.test


def test_sizes():
    assert len(EVERYTHING) == len(set(EVERYTHING)) > 9000
    assert len(NAMES.val) == pytest.approx(len(EVERYTHING) / 10, rel=0.05)
    assert len(NAMES.test) == pytest.approx(len(EVERYTHING) / 10, rel=0.05)
    for part in (NAMES.train, NAMES.val, NAMES.test):
        assert {language for _, language in part} == set(NAMES.languages)


def test_they_are_fakers_lists():
    of_language = defaultdict(set)
    for name, language in EVERYTHING:
        of_language[language].add(name)
    assert of_language["Finnish"] == set(fi_FI.Provider.last_names)
    assert "Kowalski" in of_language["Polish"] >= set(pl_PL.Provider.unisex_last_names)
    assert "Doe" not in of_language["Polish"]
    assert "van der Veen" in of_language["Dutch"]
    assert not any("," in name for name, _ in EVERYTHING)


def test_no_name_is_in_two_parts_in_any_language():
    parts = [{name for name, _ in part} for part in (NAMES.train, NAMES.val, NAMES.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    garcia = [language for name, language in EVERYTHING if name == "Garcia"]
    assert garcia == ["English", "French", "Spanish"]


def test_a_batch_for_a_language_model():
    (tokens, lengths), following = NAMES.collate([("Kowalski", "Polish"), ("Aho", "Finnish")])
    assert (tokens.dtype, following.dtype) == (torch.int64, torch.int64)
    assert tokens.shape == following.shape == (2, 9)
    assert lengths.tolist() == [9, 4]
    words = NAMES.vocabulary.words
    assert [words[token] for token in tokens[0]] == ["<Polish>", *"Kowalski"]
    assert [words[token] for token in following[0]] == [*"Kowalski", "<end>"]
    assert tokens[1, 0] == NAMES.token_of("Finnish")
    assert tokens[1, 4:].tolist() == [0] * 5
    assert following[1, 3:].tolist() == [END] + [-100] * 5
    assert torch.equal(tokens[0, 1:], following[0, :-1])


def test_most_characters_are_known_and_a_name_comes_back():
    unknown = [name for name, _ in NAMES.val + NAMES.test if UNKNOWN in NAMES.vocabulary.encode(name)]
    assert len(unknown) < 5
    assert NAMES.vocabulary.decode(NAMES.vocabulary.encode("van der Veen")) == "van der Veen"


def test_the_same_each_time():
    again = Names(seed=4, batch_size=8)
    again.setup("fit")
    again.setup()
    assert (again.train, again.val, again.test) == (NAMES.train, NAMES.val, NAMES.test)
    (tokens, _), _ = next(iter(again.train_dataloader()))
    assert len(tokens) == 8


def test_an_unknown_language_is_answered_by_those_there_are():
    with pytest.raises(ValueError, match=r"no names in 'Greek': choose from Dutch, .*, Spanish"):
        NAMES.token_of("Greek")
    with pytest.raises(ValueError, match="Greek"):
        NAMES.collate([("Papadopoulos", "Greek")])


def test_before_setup():
    with pytest.raises(AttributeError, match=r"no \.vocabulary yet: call setup"):
        Names().token_of("Dutch")
