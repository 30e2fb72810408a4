"""The site as its readers meet it: in a real browser, from the disk, on a phone and at a desk, light and dark.

`make test` opens a page of each kind; `make test-browser` takes all of them, each night.
"""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from authoring import browser
from authoring.notebooks import ROOT, lessons
from backbones.explore import Quiz
from backbones.show.quiz import plain
from grading.labs import find_labs

pytestmark = pytest.mark.slow

if browser.CHROMIUM is None and not os.environ.get("BACKBONES_REQUIRE_BROWSER"):
    pytest.skip("no Chromium here: install it to look at the site", allow_module_level=True)

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}
FIRST, *LESSONS = [f"notebooks/{path.stem}" for path in lessons()]
LABS = [f"labs/{lab.folder.name}/{lab.source.stem}" for lab in find_labs(ROOT)]
# One page of each kind: with a map, a quiz, formulas and code to fill in, signatures, tables, a form.
KINDS = ["index", FIRST, LABS[5], "api/backbones.backbone", "INSTRUCTORS", "search"]
OTHERS = [*LESSONS, *LABS, "notebooks/glossary", "references", "grading", "api/index", "api/backbones.data"]
OTHERS = [pytest.param(name, marks=pytest.mark.nightly) for name in OTHERS if name not in KINDS]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as chromium:
        yield chromium


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = browser.new_page(chromium, **SIZES["desk"])
    yield page
    page.close()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a web server of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def watch(page: Page) -> tuple[list[str], list[str]]:
    """What the page asks for from now on, and what its scripts complain of."""
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return asked, complaints


@pytest.mark.parametrize("name", [*KINDS, *OTHERS])
def test_a_page_opened_from_the_disk_asks_for_nothing_else(name: str, site: Path, page: Page) -> None:
    """And is no wider than the screen, at either width."""
    asked, complaints = watch(page)
    page.goto((site / f"{name}.html").as_uri())
    for size in SIZES.values():
        page.set_viewport_size(size)
        width, wide = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert wide <= width
        page.mouse.wheel(0, 20_000)  # pictures that are fetched when they come near
    page.wait_for_function("() => [...document.images].every(picture => picture.complete)")
    assert asked, "nothing was recorded"
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    assert complaints == []


@pytest.mark.parametrize("name", [*KINDS, *OTHERS])
def test_axe_finds_nothing_that_keeps_people_out(name: str, site: Path, page: Page) -> None:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto((site / f"{name}.html").as_uri())
    assert serious(page) == []


@pytest.mark.parametrize("name", ["index", pytest.param(FIRST, marks=pytest.mark.nightly), *OTHERS])
def test_nor_in_the_dark_on_a_phone(name: str, site: Path, page: Page) -> None:
    page.set_viewport_size(SIZES["phone"])
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto((site / f"{name}.html").as_uri())
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    """What axe calls serious or critical: "rule: part of the page"."""
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}  # new in WCAG 2.2
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node.get('failureSummary', '')}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_axe_finds_what_is_planted(site: Path, page: Page) -> None:
    """A picture without words, and grey on grey."""
    page.goto((site / "index.html").as_uri())
    page.evaluate(
        """() => document.querySelector("article").insertAdjacentHTML("beforeend",
            '<p style="color: #999; background: #aaa">pale</p><img src="notebooks/anatomy.png">')"""
    )
    rules = {line.partition(":")[0] for line in serious(page)}
    assert {"color-contrast", "image-alt"} <= rules


def test_the_search_finds_a_lesson_and_leads_there(address: str, page: Page) -> None:
    asked, complaints = watch(page)
    page.goto(f"{address}/index.html")
    page.goto(f"{address}/search.html?q=receptive+field")
    results = page.locator("#search-results li a")  # they come one after the other
    expect(results.and_(page.locator('[href*="02_convolution_and_pooling"]')).first).to_be_visible()
    results.first.click()
    expect(page.locator("article")).to_contain_text("receptive field", ignore_case=True)
    assert complaints == []
    assert [url for url in asked if not url.startswith(address)] == []


def test_a_quiz_is_answered_by_keyboard(site: Path, page: Page) -> None:
    page.goto((site / f"{FIRST}.html").as_uri())
    question = Quiz(Path(FIRST).name).questions[0]
    for option in question["option"]:
        answer = page.locator("details", has_text=plain(option["why"]))
        verdict = answer.locator("b")
        expect(verdict).to_be_hidden()
        answer.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(verdict).to_be_visible()
        expect(verdict).to_contain_text("Right" if option.get("right") else "Not quite")


def test_on_a_phone_the_menu_opens_and_leads_to_a_lesson(site: Path, page: Page) -> None:
    page.set_viewport_size(SIZES["phone"])
    page.goto((site / "index.html").as_uri())
    page.locator("button.primary-toggle:visible").click()
    menu = page.get_by_role("dialog").or_(page.locator(".bd-sidebar-primary"))
    link = menu.locator(f'a[href="{FIRST}.html"]').first
    expect(link).to_be_visible()
    link.click()
    expect(page.locator("article h1")).to_contain_text("00")
