"""JupyterLab as `python course.py lab` starts it, in a headless Chromium, and what a learner does there.

What tests/browser/ and `python course.py bench start` need; the rest of `authoring/` does without a browser.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from .notebooks import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Containers give root no sandbox and little shared memory. Nothing but this machine has an address.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
COMPLAINT = '[data-mime-type="application/vnd.jupyter.stderr"]'  # JupyterLab shows errors as this, too
STEP = 240_000  # ms for one thing to happen; a lesson takes up to 90 s on a machine with nothing else to do
expect.set_options(
    timeout=STEP
)  # 5 s otherwise, and a page that is opened gets 30 s: too few on a busy machine
# `course.py lab` itself, with a copy of lessons and labs and without its first step, the installation.
LAB = """
import sys
from pathlib import Path
import course
course.ROOT, course.VENV_PYTHON = Path(sys.argv[1]), Path(sys.executable)
course.install = lambda extra: None
course.lab(*sys.argv[2:])
"""
# Kept from the person's own JupyterLab; every cell stays in the page, also those out of sight.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}


def copy_course(folder: Path) -> Path:
    """Copy what `jupyterlab` serves into an empty folder, with its settings; returns the copy of the course."""
    course = folder / "course"
    for name in ("notebooks", "labs", ".jupyter"):
        litter = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
        shutil.copytree(ROOT / name, course / name, ignore=litter)
    for name, value in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")
    return course


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Serve a copy of lessons and labs; gives the address of JupyterLab, {} standing for a notebook's path.

    Args:
        folder: for everything that JupyterLab keeps; empty, or with what `copy_course` put there.
    """
    course = folder / "course"
    if not course.exists():
        copy_course(folder)
    own = {
        "BACKBONES_PROGRESS": str(folder / "progress.jsonl")
    }  # a learner's, not "off" as elsewhere in tests
    with serving([sys.executable, "-c", LAB, str(course)], ROOT, folder, own) as (server, token):
        yield f"{server}/lab/tree/{{}}?reset&token={token}"


@contextmanager
def formgrader(folder: Path, results: Path) -> Iterator[str]:
    """Serve the folder of results as the grading command says; gives the formgrader's address, {} for a page.

    Args:
        folder: an empty one, for what JupyterLab keeps.
        results: what was graded.
    """
    command = [sys.executable, "-m", "jupyterlab", "--allow-root"]
    with serving(command, results, folder, {}) as (server, token):
        yield f"{server}/formgrader/{{}}?token={token}"


@contextmanager
def serving(command: list[str], where: Path, folder: Path, own: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A Jupyter server: its address and token.

    Args:
        command: that starts it; port and token are added.
        where: it works.
        folder: for everything that it keeps.
        own: settings in the environment.

    Raises:
        RuntimeError: with the server's last words when it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    own = own | {f"JUPYTER_{name}": str(folder / place) for name, place in places.items()}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex()
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    options += [f"--IdentityProvider.token={token}"]
    log = folder / "lab.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, *options],
            cwd=where,
            env={**os.environ, **own, "IPYTHONDIR": str(folder / "ipython")},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, log)
        yield f"http://127.0.0.1:{port}", token
    finally:
        server.terminate()  # it ends its kernels first
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:  # seen once, on a machine with much else to do
            server.kill()  # its kernels notice and end, too
            server.wait()


def wait_for(url: str, server: subprocess.Popen, log: Path, seconds: float = STEP / 1000) -> None:
    """Return once the server answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("JupyterLab did not start; its last words:\n" + log.read_text()[-3000:])


class Notebook:
    """A notebook open in JupyterLab, and what a learner does with it."""

    def __init__(self, page: Page, address: str, path: str) -> None:
        """Open it.

        Args:
            page: of the browser.
            address: from `jupyterlab`.
            path: of the notebook, as in "notebooks/00_name.ipynb".
        """
        self.page = page
        self.errors: list[str] = []  # of the page's own scripts
        self.elsewhere: list[str] = []  # requests to other machines
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.note(request.url))
        begin = time.perf_counter()
        page.goto(address.format(path))
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.panel.locator(".jp-Cell").first.wait_for()
        self.seconds_shown = time.perf_counter() - begin  # until its cells stood in the page
        self.wait_until_idle()
        self.seconds_ready = time.perf_counter() - begin  # until its kernel was connected

    def note(self, url: str) -> None:
        """Remember a request that leaves this machine."""
        if not re.match(r"(https?|wss?)://127\.0\.0\.1:|data:|blob:", url):
            self.elsewhere.append(url)

    def wait_until_idle(self) -> None:
        """Wait until the kernel is connected and has nothing to do, and the page shows all that it has said.

        The toolbar's indicator says "idle" while the kernel still connects, and a "Run All" given then is
        lost: the status bar tells the truth. Widgets are drawn later, part by part: an explorer's parts are
        empty boxes at first.
        """
        self.page.wait_for_function(
            r"""() => {
                const panel = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)");
                const all = (selector) => [...panel.querySelectorAll(selector)];
                return /\| Idle/.test(document.querySelector("#jp-main-statusbar")?.textContent)
                    && !all(".jp-InputPrompt").some(prompt => prompt.textContent.includes("*"))
                    && !all(".jp-OutputArea-output").some(output => output.textContent == "Loading widget...")
                    && !all(".widget-interact > *, .widget-vbox > *")
                        .some(part => !part.classList.contains("jupyter-widgets"));
            }"""
        )

    def run_all(self) -> None:
        """Run > Run All Cells, to the end or to an error; what was there before is cleared first."""
        prompts = self.panel.locator(".jp-CodeCell .jp-InputPrompt")
        self.menu("Edit", "editmenu:clear-all")
        expect(prompts.last).to_have_text("[ ]:")
        self.menu("Run", "runmenu:run-all")
        last = prompts.last.filter(has_text=re.compile(r"\[\d+\]"))
        self.panel.locator(COMPLAINT).or_(last).first.wait_for()
        self.wait_until_idle()

    def menu(self, name: str, command: str) -> None:
        """Choose a command from the menu bar."""
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    def run_through(self, last: int) -> tuple[float, float]:
        """Run the cells from the first to that number, counted from 0, by Shift+Enter alone, as right after opening.

        Returns:
            Seconds from the first key until the first code cell is done, and until that last cell is, and has
            drawn as many pictures as were saved with it.
        """
        # Numbers and pictures that were saved with the notebook would pass for those of this run.
        saved = self.panel.evaluate(
            """(panel, last) => {
                panel.querySelectorAll(".jp-InputPrompt").forEach(prompt => prompt.textContent = "");
                panel.querySelectorAll("img").forEach(picture => picture.dataset.saved = "saved");
                return panel.querySelectorAll(".jp-Cell")[last].querySelectorAll("img").length;
            }""",
            last,
        )
        begin = time.perf_counter()
        for _ in range(last + 1):
            self.page.keyboard.press("Shift+Enter")
        done = r"""([selector, number, saved]) => {
            const panel = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)");
            const cell = panel.querySelectorAll(selector)[number];
            const pictures = [...cell.querySelectorAll("img")];
            return /\d/.test(cell.querySelector(".jp-InputPrompt").textContent) && pictures.length >= saved
                && pictures.every(picture => picture.complete && !picture.dataset.saved);
        }"""
        seconds = []
        for cell in ([".jp-CodeCell", 0, 0], [".jp-Cell", last, saved]):
            self.page.wait_for_function(done, arg=cell)
            seconds.append(time.perf_counter() - begin)
        return seconds[0], seconds[1]

    def write(self, number: int, source: str) -> None:
        """Write this into the cell with that number, counted from 0, in place of what stands there."""
        self.panel.locator(".jp-Cell").nth(number).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(source)

    def offers(self) -> list[str]:
        """What stands in JupyterLab's menu bar and at its sides."""
        tabs = self.page.locator(".jp-SideBar .lm-TabBar-tab").all()
        names = [tab.get_attribute("title") or tab.get_attribute("data-id") or "" for tab in tabs]
        menus = self.page.get_by_role("menubar").first.get_by_role("menuitem").all_inner_texts()
        return menus + names

    def complaints(self) -> list[str]:
        """What the learner would see of errors and warnings."""
        return self.panel.locator(COMPLAINT).all_inner_texts() + self.errors

    def explorers(self) -> list[Locator]:
        """Each `interact` of the notebook."""
        return self.panel.locator(".widget-interact").all()

    def controls(self, explorer: Locator) -> list[Locator]:
        """What a learner moves in an explorer."""
        return explorer.locator("select, .noUi-handle, input[type=text], input[type=checkbox]").all()

    def showing(self, explorer: Locator) -> tuple[str, str | None]:
        """Text and picture that an explorer shows, now; `shown` waits until they stay."""
        output = explorer.locator(".jp-OutputArea").first
        picture = output.locator("img")
        return output.text_content() or "", picture.first.get_attribute("src") if picture.count() else None

    def shown(self, explorer: Locator) -> tuple[str, str | None]:
        """Text and picture of an explorer that has drawn both: a picture comes after its text."""
        self.wait_until_idle()
        seen, now = None, self.showing(explorer)
        while now != seen or not now[0]:
            self.page.wait_for_timeout(200)
            seen, now = now, self.showing(explorer)
        return now

    def move(self, explorer: Locator, control: Locator, text: str) -> bool:
        """Move a control one step by keyboard alone; whether text or picture changed.

        Args:
            explorer: it belongs to.
            control: one of its `controls`.
            text: what is typed into a text field.
        """
        before = self.shown(explorer)
        control.focus()
        for key in self.keys(control, text):
            self.page.keyboard.press(key) if len(key) > 1 else self.page.keyboard.insert_text(key)
        end = time.monotonic() + 60
        while (after := self.showing(explorer)) == before or not after[0]:
            if time.monotonic() > end:
                return False
            self.page.wait_for_timeout(100)
        self.wait_until_idle()
        return True

    def keys(self, control: Locator, text: str) -> tuple[str, ...]:
        """The keys that move a control."""
        kind = control.evaluate("control => control.tagName + (control.type || '')")
        if kind.startswith("SELECT"):
            # On a closed drop-down list, JupyterLab takes the arrow key as "next cell". Space opens the list.
            last = control.evaluate("control => control.selectedIndex == control.options.length - 1")
            return "Space", "ArrowUp" if last else "ArrowDown", "Enter"
        if kind == "INPUTcheckbox":
            return ("Space",)
        if kind == "INPUTtext":
            return "ControlOrMeta+A", *text, "Enter"
        place = "control => control.getAttribute('aria-valuenow') == control.getAttribute('aria-valuemax')"
        return ("ArrowLeft" if control.evaluate(place) else "ArrowRight",)

    def answer(self, question: str, letter: str) -> str:
        """Press a quiz's button by keyboard, not the last one again; what stands below the question then."""
        form = self.panel.locator(".widget-vbox").filter(has_text=question).last
        reason = form.locator(".widget-html").last
        before = reason.text_content() or ""  # empty, or the reason for another answer
        form.get_by_role("button", name=letter, exact=True).focus()
        self.page.keyboard.press("Enter")
        expect(reason).not_to_have_text(before)
        self.wait_until_idle()
        return reason.inner_text()

    def progress(self, name: str) -> str:
        """Press the progress page's button by keyboard; the row of a lesson then."""
        form = self.panel.locator(".widget-vbox").filter(has_text="Look again").last
        before = form.locator("table").element_handle()
        form.get_by_role("button", name="Look again").focus()
        self.page.keyboard.press("Enter")
        before.wait_for_element_state("hidden", timeout=STEP)
        return form.locator("tr").filter(has_text=name).inner_text()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A fresh browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def new_page(browser: Browser, width: int = 1280, height: int = 1000) -> Page:
    """A page of that browser, of so many pixels, which knows nothing of its other pages."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(STEP)
    return page
