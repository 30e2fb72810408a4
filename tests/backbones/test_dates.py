"""Dates in two languages: what they say, that held-out ones are new, what is refused."""

import pytest
import torch

from backbones.data import Dates
from backbones.data.dates import LANGUAGES
from backbones.data.vocabulary import BEGIN, END, UNKNOWN


def ready(**options) -> Dates:
    data = Dates(**options)
    data.setup()
    return data


DATES = ready()
EVERYTHING = DATES.train + DATES.val + DATES.test


def test_sizes_and_what_a_pair_is():
    assert [len(part) for part in (DATES.train, DATES.val, DATES.test)] == [5500, 500, 500]
    assert in_french("Sunday, April 7, 1957") == "dimanche 7 avril 1957"
    assert in_french("Jan 22, 1907") == "22 janv. 1907"
    for source, target in EVERYTHING:
        assert in_french(source) == target


MONTHS = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
SHORT = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
WEEK = dict(
    zip(
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        strict=True,
    )
)
ENGLISH = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def in_french(date: str) -> str:
    """By hand: what Babel should have said."""
    *weekday, month_and_day, year = date.split(", ")
    month, day = month_and_day.split()
    number = next(number for number, name in enumerate(ENGLISH) if name.startswith(month))
    # May is as long as its short form; so are the French months without a point
    names = MONTHS if month == ENGLISH[number] else SHORT
    return " ".join([*(WEEK[name] for name in weekday), day, names[number], year])


def test_no_date_is_in_two_parts_in_any_format():
    def days(part):
        return {tuple(target.replace(".", "").split()[-3:]) for _, target in part}

    def plain(part):  # 3 letters of the month tell them apart, but for juin and juillet
        return {
            (day, month[:4] if month[:3] == "jui" else month[:3], year) for day, month, year in days(part)
        }

    assert len(plain(EVERYTHING)) == len(EVERYTHING)


def test_all_words_of_held_out_dates_are_known():
    for source, target in DATES.val + DATES.test:
        assert UNKNOWN not in DATES.source_vocabulary.encode(source)
        assert UNKNOWN not in DATES.target_vocabulary.encode(target)


def test_formats_change_order_and_words():
    assert all(source != target for source, target in EVERYTHING)
    lengths = {len(DATES.source_vocabulary.encode(source)) for source, _ in DATES.test}
    assert lengths == {4, 6}  # april 7 , 1957; sunday , april 7 , 1957


def test_a_batch():
    (tokens, lengths), target = DATES.collate([("April 7, 1957", "7 avril 1957"), DATES.train[2]])
    assert (tokens.dtype, tokens.shape) == (torch.int64, (2, 6))
    assert lengths.tolist() == [4, 6]
    assert tokens[0, 4:].tolist() == [0, 0]
    assert target[:, 0].tolist() == [BEGIN, BEGIN]
    assert target[0].tolist()[4:] == [END, 0]
    assert DATES.target_vocabulary.decode(target[0]) == "7 avril 1957"
    batch = next(iter(DATES.train_dataloader()))
    assert batch[0][0].shape[0] == batch[1].shape[0] == 32


def test_characters_keep_everything():
    data = ready(tokens="characters", count=600, target="de")
    (tokens, _), target = data.collate(data.test)
    for row, answer, (source, translation) in zip(tokens, target, data.test, strict=True):
        assert data.source_vocabulary.decode(row) == source
        assert data.target_vocabulary.decode(answer) == translation


def test_the_same_each_time_and_for_each_language():
    again = ready(seed=3, target="de")
    again.setup("fit")
    assert [source for source, _ in again.test] == [source for source, _ in DATES.test]
    assert ready(count=10).train == DATES.train[:10]


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_language_has_words_of_its_own(language):
    data = ready(target=language, count=2000)
    assert len({target for _, target in data.train + data.val + data.test}) == 3000
    names = {word for word in data.target_vocabulary.words[4:] if not word.strip("-.").isdigit()}
    assert len(names) >= 19  # 12 months and 7 days at least
    assert all(UNKNOWN not in data.target_vocabulary.encode(target) for _, target in data.test)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": "french"}, "no dates in language 'french': choose from cs, .*fr"),
        ({"source": "fr"}, "source and target are both 'fr'"),
        ({"tokens": "syllables"}, "tokens='syllables'"),
        ({"count": 60_000}, "count=60000 is more than there are: at most 53787 dates"),
        ({"count": 0}, "count"),
    ],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(ValueError, match=says):
        Dates(**options)


def test_before_setup():
    with pytest.raises(AttributeError, match="source_vocabulary yet: call setup"):
        Dates().source_vocabulary  # noqa: B018
