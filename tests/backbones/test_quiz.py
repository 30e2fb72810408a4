"""The quizzes of the lessons: no place and no length gives the right answer away."""

import math
from collections import Counter
from pathlib import Path

import ipywidgets as widgets
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


HOSTILE = """
[[question]]
text = "Is `x < <b>y</b>` more than <b>one</b> `letter?"
[[question.option]]
text = "`print('<b>')` & <script>"
why = "No: `a` and `b` are <i>code</i>."
right = true
[[question.option]]
text = "No `code` at <b>all</b>"
why = "Neither."
"""
QUESTION = "Is <code>x &lt; &lt;b&gt;y&lt;/b&gt;</code> more than &lt;b&gt;one&lt;/b&gt; `letter?"
OPTIONS = {
    "print('<b>') & <script>": "<code>print(&#x27;&lt;b&gt;&#x27;)</code> &amp; &lt;script&gt;",
    "No code at <b>all</b>": "No <code>code</code> at &lt;b&gt;all&lt;/b&gt;",
}
WHY = "No: <code>a</code> and <code>b</code> are &lt;i&gt;code&lt;/i&gt;."


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Quiz:
    """A quiz whose texts hold tags, code, and a backtick that has no other."""
    monkeypatch.setenv("BACKBONES_PROGRESS", "off")
    (tmp_path / "hostile.toml").write_text(HOSTILE, encoding="utf-8")
    return Quiz(tmp_path / "hostile.toml")


def test_buttons_show_code_as_code_and_tags_as_text(hostile: Quiz) -> None:
    title, *rows, reason = hostile.form().children[0].children
    assert title.value == f"<b>1. {QUESTION}</b>"
    assert {row.children[0].tooltip: row.children[1].value for row in rows} == OPTIONS
    assert [type(row.children[0]) for row in rows] == [widgets.Button] * 2  # pressed by keyboard
    assert [row.children[0].description for row in rows] == ["a", "b"]
    rows[right_place(hostile.questions[0])].children[0].click()
    assert WHY in reason.value


def test_without_a_kernel_too(hostile: Quiz) -> None:
    page = hostile._repr_html_()
    for shown in (f"<b>1. {QUESTION}</b>", WHY, *OPTIONS.values()):
        assert shown in page
    assert "`x < <b>y</b>`" in repr(hostile)  # plain text stays as it was written
