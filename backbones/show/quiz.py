"""What a learner operates in a notebook: the quiz, and by its side the progress page of progress.py.

Explorers are `ipywidgets.interact`, in the lessons.
"""

import html
import random
import re
import tomllib
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from .progress import QUIZZES, Progress, keep, passed, view

__all__ = ["Progress", "Quiz", "QuizError", "passed"]  # what lessons and labs import from `backbones.explore`


CODE = re.compile(r"`([^`\n]+)`")  # in a quiz's file, as in Markdown


class QuizError(ValueError):
    """A quiz file is not as it should be; the message names the question."""


class Quiz:
    """Questions with one right option each; every option, right or wrong, is answered with a reason.

    With a kernel it is a form of buttons. Without one (GitHub, the site) it is the questions as text, where each
    option unfolds its reason. Options stand in an order of the quiz's own, the same for everybody and
    every time, in which each place is the right one about equally often: "b" helps nobody.
    """

    def __init__(self, name: str | Path):
        """Read the questions.

        Args:
            name: of a lesson, "00_what_is_a_backbone"; or the path of a TOML file of [[question]]s, each with
                a `text` and [[question.option]]s. An option has `text`, `why` and, one in each question,
                `right = true`. Words between backticks are shown as code, all else as it is written.
        Raises:
            QuizError: no such quiz, a question without exactly one right option, an option without a reason.
        """
        path = Path(name) if str(name).endswith(".toml") else QUIZZES / f"{name}.toml"
        if not path.is_file():
            there = ", ".join(sorted(other.stem for other in QUIZZES.glob("*.toml")))
            raise QuizError(f"there is no quiz {str(name)!r}: name a TOML file, or one of {there}")
        self.name = path.stem
        self.questions = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
        for question in self.questions:
            options = question.get("option", [])
            if sum(option.get("right", False) for option in options) != 1:
                raise QuizError(f"{path}: needs exactly one right option: {question['text']!r}")
            if not all(option.get("why") for option in options):
                raise QuizError(f"{path}: every option needs a `why`: {question['text']!r}")
        _spread(self.questions, random.Random(self.name))

    def form(self) -> widgets.VBox:
        """The quiz as buttons, which need a kernel."""
        return widgets.VBox([_form(self.name, number, q) for number, q in enumerate(self.questions, 1)])

    def __repr__(self) -> str:
        blocks = []
        for number, question in enumerate(self.questions, 1):
            options = [
                f"   {letter}) {o['text']}" for letter, o in zip("abcdef", question["option"], strict=False)
            ]
            blocks.append("\n".join([f"{number}. {question['text']}", *options]))
        return "\n\n".join(blocks)

    def _repr_html_(self) -> str:
        return "".join(_static(number, question) for number, question in enumerate(self.questions, 1))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return view(self.form()) | {"text/plain": repr(self), "text/html": self._repr_html_()}


def _spread(questions: list[dict[str, Any]], random_numbers: random.Random) -> None:
    """Put each question's right option into a place of its own until every place was the right one once."""
    places: list[int] = []
    for question in questions:
        right = next(option for option in question["option"] if option.get("right"))
        others = [option for option in question["option"] if option is not right]
        random_numbers.shuffle(others)
        if not any(place <= len(others) for place in places):
            places = list(range(len(question["option"])))
            random_numbers.shuffle(places)
        place = next(place for place in places if place <= len(others))
        places.remove(place)
        question["option"] = [*others[:place], right, *others[place:]]


def _static(number: int, question: dict[str, Any]) -> str:
    """A question as HTML that needs neither kernel nor script: each option unfolds what is to be said of it."""
    options = "".join(
        f"<li><details><summary>{_marked(option['text'])}</summary>"
        f"<b>{_verdict(option)}</b> {_marked(option['why'])}</details></li>"
        for option in question["option"]
    )
    return f"<p><b>{number}. {_marked(question['text'])}</b></p><ol type='a'>{options}</ol>"


def plain(text: str) -> str:
    """A text of a quiz's file as a reader sees it, without the backticks around code."""
    return CODE.sub(r"\1", text)


def _marked(text: str) -> str:
    """A text of a quiz's file as HTML: what stands between backticks is code, and nothing else is markup."""
    return CODE.sub(r"<code>\1</code>", html.escape(text))


def _verdict(option: dict[str, Any]) -> str:
    return "✔ Right." if option.get("right") else "✘ Not quite."


def _form(quiz: str, number: int, question: dict[str, Any]) -> widgets.VBox:
    """A question with a button for each option; a press shows the option's reason; a right one is kept."""
    reason = widgets.HTML()

    def answer(option: dict[str, Any]) -> None:
        trouble = ""
        if option.get("right"):
            _, trouble = keep((quiz, f"question {number}"))
        reason.value = f"<b>{_verdict(option)}</b> {_marked(option['why'])} {html.escape(trouble)}"

    rows = []
    for letter, option in zip("abcdef", question["option"], strict=False):
        # The text stands beside the button, because a button's own label does not wrap. Its tooltip, which
        # screen readers say after the letter, is that text without markup.
        layout = widgets.Layout(width="3em", flex="none")
        button = widgets.Button(description=letter, tooltip=plain(option["text"]), layout=layout)
        button.on_click(lambda _, option=option: answer(option))
        rows.append(widgets.HBox([button, widgets.HTML(_marked(option["text"]))]))
    title = widgets.HTML(f"<b>{number}. {_marked(question['text'])}</b>")
    return widgets.VBox([title, *rows, reason], layout=widgets.Layout(margin="0 0 1em 0"))
