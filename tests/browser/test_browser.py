"""The course as a learner meets it: JupyterLab in a real browser, by mouse and keyboard.

`make test` takes lesson 00 and lab 01. The other lessons, which nbval has executed already, follow in
`make test-browser`, each night.
"""

import os
from collections.abc import Iterator

import browser
import nbformat
import pytest
from playwright.sync_api import Page

from authoring.notebooks import ROOT, lessons
from backbones.explore import Quiz
from grading.labs import find_lab
from grading.repair import is_solution

pytestmark = pytest.mark.slow

FIRST, *OTHERS = [path.stem for path in lessons()]
LAB = find_lab(ROOT, "lab01")

if browser.CHROMIUM is None and not os.environ.get("BACKBONES_REQUIRE_BROWSER"):
    pytest.skip("no Chromium here: install it to test the lessons in a browser", allow_module_level=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that `course.py lab` started."""
    with browser.jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture
def page() -> Iterator[Page]:
    with browser.page() as page:
        yield page


@pytest.mark.parametrize(
    "lesson", [FIRST, *(pytest.param(name, marks=pytest.mark.nightly) for name in OTHERS)]
)
def test_a_learner_works_through_the_lesson(lesson: str, lab: str, page: Page) -> None:
    notebook = browser.Notebook(page, lab, f"notebooks/{lesson}.ipynb")
    notebook.run_all()
    assert notebook.complaints() == []

    text, picture = notebook.showing()
    notebook.move_explorer()
    moved_text, moved_picture = notebook.showing()
    assert moved_text != text
    assert picture
    assert moved_picture
    assert moved_picture != picture

    question = Quiz(lesson).questions[0]
    options = dict(zip("abcdef", question["option"], strict=False))
    for right in (False, True):
        letter = next(letter for letter, option in options.items() if option.get("right", False) is right)
        reason = notebook.answer(question["text"], letter)
        assert options[letter]["why"] in reason
        assert ("Right" in reason) is right

    if lesson == FIRST:
        assert "1 of " in notebook.progress(lesson)

    assert notebook.complaints() == []
    assert notebook.elsewhere == []


def test_a_learner_works_through_the_lab(lab: str, page: Page) -> None:
    """The first stub stops it and says what to do; with the answers written in, it runs to its end."""
    place = f"labs/{LAB.folder.name}/{LAB.source.name}"
    notebook = browser.Notebook(page, lab, place)
    notebook.run_all()
    (traceback,) = notebook.complaints()
    assert "# Exercise 1" in traceback
    assert "NotImplementedError: write your answer here" in traceback

    cells = nbformat.read(ROOT / place, as_version=4).cells
    answers = {cell.id: cell.source for cell in nbformat.read(LAB.source, as_version=4).cells}
    for number, cell in enumerate(cells):
        if is_solution(cell) and cell.cell_type == "code":
            notebook.write(number, answers[cell.id])
    notebook.run_all()
    assert notebook.complaints() == []
    assert notebook.elsewhere == []


def test_learners_see_no_instructors_menus(lab: str, page: Page) -> None:
    """nbgrader is installed here and would add some: tests/authoring/test_course.py sees it switched off."""
    offers = browser.Notebook(page, lab, f"notebooks/{FIRST}.ipynb").offers()
    assert {"File", "Run", "Help"} <= set(offers)
    assert not [name for name in offers if "grader" in name.lower() or "assignment" in name.lower()]
