"""The course as a learner meets it: JupyterLab in a real browser, by mouse and keyboard.

`make test` takes lesson 00 and lab 01. The other lessons, which nbval has executed already, follow in
`make test-browser`, each night.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from grading_samples import cell_of, hand_in, tiny_course, tiny_lab
from playwright.sync_api import Locator, Page, expect

from authoring import browser
from authoring.notebooks import ROOT, lessons
from backbones.explore import Quiz
from backbones.show.quiz import plain
from grading.__main__ import main
from grading.labs import find_lab
from grading.repair import is_solution

pytestmark = pytest.mark.slow

FIRST, *OTHERS = [path.stem for path in lessons()]
LAB = find_lab(ROOT, "lab01")
TYPED = {"08": "8 May 2024"}  # into the text fields of a lesson; elsewhere it is a sentence

if browser.CHROMIUM is None and not os.environ.get("BACKBONES_REQUIRE_BROWSER"):
    pytest.skip("no Chromium here: install it to test the lessons in a browser", allow_module_level=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that `course.py lab` started."""
    with browser.jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture
def page() -> Iterator[Page]:
    with browser.chromium() as chromium:
        yield browser.new_page(chromium)


@pytest.mark.parametrize(
    "lesson", [FIRST, *(pytest.param(name, marks=pytest.mark.nightly) for name in OTHERS)]
)
def test_a_learner_works_through_the_lesson(lesson: str, lab: str, page: Page) -> None:
    notebook = browser.Notebook(page, lab, f"notebooks/{lesson}.ipynb")
    notebook.run_all()
    assert notebook.complaints() == []

    explorers = notebook.explorers()
    assert explorers
    stuck = []
    for number, explorer in enumerate(explorers, 1):
        text, picture = notebook.shown(explorer)
        controls = notebook.controls(explorer)
        assert controls
        for place, control in enumerate(controls, 1):
            if not notebook.move(explorer, control, TYPED.get(lesson[:2], "a dull, dull film")):
                stuck.append(f"explorer {number}, control {place}")
        moved_text, moved_picture = notebook.shown(explorer)
        assert moved_text != text, f"explorer {number}"
        assert picture is None or moved_picture != picture, f"explorer {number}"
        keep_picture(page, f"{lesson} explorer {number}", explorer)
    assert stuck == []

    question = Quiz(lesson).questions[0]
    options = dict(zip("abcdef", question["option"], strict=False))
    for right in (False, True):
        letter = next(letter for letter, option in options.items() if option.get("right", False) is right)
        reason = notebook.answer(plain(question["text"]), letter)
        assert plain(options[letter]["why"]) in reason
        assert ("Right" in reason) is right

    if lesson == FIRST:
        assert "1 of " in notebook.progress(lesson)

    keep_picture(page, f"{lesson} quiz")
    assert notebook.complaints() == []
    assert notebook.elsewhere == []


def keep_picture(page: Page, name: str, part: Locator | None = None) -> None:
    """A screenshot in the folder that BACKBONES_SCREENSHOTS names, for a person to look at."""
    if folder := os.environ.get("BACKBONES_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        if part is not None:
            part.scroll_into_view_if_needed()
        page.screenshot(path=Path(folder) / f"{name}.png")


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


def test_an_instructor_sees_a_graded_submission(tmp_path: Path, page: Page) -> None:
    """`python -m grading`, then JupyterLab in the folder of results, as the command says at its end."""
    course = tiny_course(tmp_path / "course")
    learner = tiny_lab()
    cell_of(learner, "halve").source = "def halve(x):\n    return 0"
    hand_in(tmp_path / "handed in" / "ada.ipynb", learner)
    out = tmp_path / "graded"
    assert (
        main(["grade", "lab77", str(tmp_path / "handed in"), "--course", str(course), "--out", str(out)]) == 0
    )

    with browser.formgrader(tmp_path / "server", out) as address:
        page.goto(address.format("gradebook"))
        for link in ("lab77_tiny", "lab77", "Submission #1"):
            page.get_by_role("link", name=link, exact=True).click()
        expect(page.get_by_role("main")).to_contain_text("expected 2, got 0")
        deserved = {"test_double": "3", "test_halve": "0"}  # the page asks for them once it stands
        for name, points in deserved.items():
            expect(page.locator(f"#{name}")).to_have_attribute("placeholder", points, timeout=browser.STEP)
