"""The lessons as a learner meets them: JupyterLab in a real browser, by mouse and keyboard."""

import importlib.util
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from playwright.sync_api import Page, expect

LESSONS = [
    "00_what_is_a_backbone",
    "01_feature_extraction",
    "02_convolution_and_pooling",
    "03_cnn_backbones",
    "04_one_backbone_three_tasks",
    "05_deeplabv3plus",
]  # one entry for each lesson with an explorer and a quiz

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


@pytest.mark.parametrize("lesson", LESSONS)
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

    quiz = tomllib.loads(
        (browser.ROOT / "notebooks" / "quizzes" / f"{lesson}.toml").read_text(encoding="utf-8")
    )
    question = quiz["question"][0]
    options = dict(zip("abcdef", question["option"], strict=False))
    for right in (False, True):
        letter = next(letter for letter, option in options.items() if option.get("right", False) is right)
        reason = notebook.answer(question["text"], letter)
        assert options[letter]["why"] in reason
        assert ("Right" in reason) is right

    assert notebook.complaints() == []
    assert notebook.elsewhere == []


def menus(address: str, page: Page) -> list[str]:
    """What JupyterLab offers in its menu bar and beside the notebook."""
    page.goto(address.format(f"notebooks/{LESSONS[0]}.ipynb"))
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=browser.STEP)
    expect(page.get_by_role("menuitem", name="Help", exact=True)).to_be_visible(timeout=browser.STEP)
    page.wait_for_timeout(1000)  # extensions add their menus after the page is there
    tabs = page.locator(".jp-SideBar .lm-TabBar-tab").all()
    names = [tab.get_attribute("title") or tab.get_attribute("data-id") or "" for tab in tabs]
    return page.get_by_role("menubar").first.get_by_role("menuitem").all_inner_texts() + names


def of_nbgrader(names: list[str]) -> list[str]:
    return [
        name for name in names if any(word in name.lower() for word in ("nbgrader", "assignment", "grader"))
    ]


def test_learners_see_no_instructors_menus(lab: str, page: Page, tmp_path: Path) -> None:
    """They are hidden by the course's settings, not absent: without the settings they are there."""
    assert importlib.util.find_spec("nbgrader")
    shown = menus(lab, page)
    assert {"File", "Run", "Help"} <= set(shown)
    assert of_nbgrader(shown) == []
    with browser.jupyterlab(tmp_path, learners_settings=False) as unsettled:
        assert of_nbgrader(menus(unsettled, page))
