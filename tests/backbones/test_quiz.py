"""The quizzes of the lessons: no place and no length gives the right answer away."""

import math
from collections import Counter
from pathlib import Path

import pytest

from backbones.explore import Quiz, QuizError
from backbones.lessons import FILES

QUIZZES = sorted((FILES / "quizzes").glob("*.toml"))


def right_place(question: dict) -> int:
    return [option.get("right", False) for option in question["option"]].index(True)


@pytest.mark.parametrize("path", QUIZZES, ids=lambda path: path.stem)
def test_no_letter_is_right_more_often_than_its_share(path: Path) -> None:
    questions = Quiz(path).questions
    counts = Counter(map(right_place, questions))
    options = min(len(question["option"]) for question in questions)
    assert max(counts.values()) <= math.ceil(len(questions) / options) + (options < 3)
    assert len(counts) >= min(options, len(questions))


@pytest.mark.parametrize("path", QUIZZES, ids=lambda path: path.stem)
def test_lengths_do_not_tell(path: Path) -> None:
    longest = 0
    for question in Quiz(path).questions:
        lengths = [len(option["text"]) for option in question["option"]]
        assert min(lengths) >= 0.5 * max(lengths) or max(lengths) <= 16, question["text"]
        longest += lengths[right_place(question)] == max(lengths)
    assert longest <= math.ceil(len(Quiz(path).questions) / 2)


def test_a_quiz_that_is_not_there_names_those_that_are() -> None:
    for name in ("00_what_is_a_bone", "quizzes/00_what_is_a_backbone.toml"):
        with pytest.raises(QuizError, match=r"no quiz .*00_what_is_a_backbone, 01_"):
            Quiz(name)


def test_the_order_is_the_same_each_time_and_loses_nothing(tmp_path: Path) -> None:
    question = '[[question]]\ntext = "{0}?"\n' + "".join(
        f'[[question.option]]\ntext = "{{0}}{letter}"\nwhy = "."\n{right}'
        for letter, right in (("x", ""), ("y", "right = true\n"), ("z", ""), ("w", ""))
    )
    path = tmp_path / "some.toml"
    path.write_text("".join(question.format(name) for name in "abcdefgh"), encoding="utf-8")
    first, second = Quiz(path), Quiz(path)
    assert repr(first) == repr(second)
    assert Counter(map(right_place, first.questions)) == {0: 2, 1: 2, 2: 2, 3: 2}
    for question in first.questions:
        texts = {option["text"] for option in question["option"]}
        assert texts == {question["text"][0] + letter for letter in "xyzw"}
        assert question["option"][right_place(question)]["text"].endswith("y")
    (tmp_path / "other.toml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert repr(Quiz(tmp_path / "other.toml")) != repr(first)
