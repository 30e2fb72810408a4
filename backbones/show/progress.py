"""What a learner has done: questions of quizzes answered right, and visible checks of labs that pass.

It is kept in one file, `.backbones/progress.jsonl` in the learner's home, and sent nowhere. The environment
variable BACKBONES_PROGRESS names another file by its full path; with "off", which the course sets where it
executes or grades notebooks itself, nothing is kept. A line is {"where": "lab06", "what": "Exercise 3"}.
"""

import contextlib
import html
import json
import os
import re
import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

import filelock
import ipywidgets as widgets
from IPython.display import HTML

QUIZZES = Path(__file__).resolve().parents[1] / "lessons" / "quizzes"  # FILES, without importing torch
USUAL_FILE = ".backbones/progress.jsonl"  # in the learner's home
WIDGET = "application/vnd.jupyter.widget-view+json"
CHECK = re.compile(r'passed\(\\"lab\d+\\", \\"([^"\\]+)\\"\)')  # as it stands in a notebook's file
Done = dict[tuple[str, str], None]  # (where, what), in the order in which it was done


def passed(where: str, what: str) -> None:
    """Say that an exercise's visible checks pass, and keep it.

    Args:
        where: the lab, "lab06".
        what: the exercise, "Exercise 3", or a part of it, "Exercise 3, values".
    """
    print(f"{what}: the visible checks pass.")
    if trouble := keep((where, what))[1]:
        print(trouble)


def keep(*new: tuple[str, str]) -> tuple[Done, str]:
    """Add what is new to what is kept. Adding it twice changes nothing.

    Args:
        new: any number of (where, what).
    Returns:
        All that was done, and "" or a sentence about what is in the way. Nothing is raised.
    """
    done, aside = {}, None
    try:
        if (path := location()) is None or not (new or path.exists()):
            return done, ""
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path):
            done, damaged = read(path)
            if damaged:
                aside = path.with_name(f"progress.damaged-{time.strftime('%Y-%m-%d-%H%M%S')}.jsonl")
                shutil.copy(path, aside)  # a copy: should the next lines fail, all is as it was
            if damaged or not done.keys() >= set(new):
                done |= dict.fromkeys(new)
                write(path, done)
    except Exception as error:  # whatever it is: a check that passes must not fail because of it
        reason = getattr(error, "strerror", None) or error
        return done, f"Your progress cannot be kept ({reason}). Everything else works as before."
    return done, f"Your progress was damaged: see {aside.name}. What can be read counts." if aside else ""


def location() -> Path | None:
    """The file, or None where nothing is kept. Raises RuntimeError where this user has no home."""
    name = os.environ.get("BACKBONES_PROGRESS") or f"~/{USUAL_FILE}"
    return None if name == "off" else Path(name).expanduser().resolve()


def one_at_a_time(path: Path) -> contextlib.AbstractContextManager:
    """Wait until no other notebook reads or writes the file. The lock ends with its process."""
    try:
        return filelock.FileLock(f"{path}.lock").acquire(timeout=10)
    except filelock.Timeout:
        raise
    except (OSError, NotImplementedError):  # a read-only folder, or a file system without locks
        return contextlib.nullcontext()


def read(path: Path) -> tuple[Done, bool]:
    """What can be read of the file, and whether something in it cannot."""
    done, damaged = {}, False
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
            done[str(entry["where"]), str(entry["what"])] = None
        except (ValueError, TypeError, KeyError):
            damaged = True
    return done, damaged


def write(path: Path, done: Done) -> None:
    """Replace the file as a whole: who is killed meanwhile leaves the old one or the new one."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"where": where, "what": what}) + "\n" for where, what in done)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


class Progress:
    """The progress page: what is done of every quiz and lab. Without a kernel it is a sentence."""

    def __init__(self, folder: str | Path = "."):
        """Args: folder, with the lessons; labs/ lies beside it. What is not there is counted without a link."""
        self.lessons = [Path(folder, f"{quiz.stem}.ipynb") for quiz in sorted(QUIZZES.glob("*.toml"))]

    def table(self) -> str:
        """What is done, as HTML."""
        done, trouble = keep()
        rows = ["<tr><th>lesson</th><th>questions right</th><th>lab</th><th>visible checks passed</th></tr>"]
        for lesson in self.lessons:
            questions = tomllib.loads((QUIZZES / f"{lesson.stem}.toml").read_text(encoding="utf-8"))[
                "question"
            ]
            cells = count(done, lesson, [f"question {number}" for number, _ in enumerate(questions, 1)])
            labs = list(lesson.parent.glob(f"../labs/lab{lesson.name[:2]}_*/lab*.ipynb"))
            for lab in labs:
                cells += count(done, lab, CHECK.findall(lab.read_text(encoding="utf-8")))
            if not labs and any(where == f"lab{lesson.name[:2]}" for where, _ in done):
                cells += count(done, Path(f"lab{lesson.name[:2]}.ipynb"), [])
            rows.append(f"<tr>{cells}</tr>")
        return f"<table>{''.join(rows)}</table><p>{html.escape(f'{trouble} {self}')}</p>"

    def form(self) -> widgets.VBox:
        """The table with its button, which needs a kernel."""
        page, button = widgets.Output(), widgets.Button(description="Look again")

        def look(*_: widgets.Button) -> None:  # an output, not a widget of HTML: JupyterLab opens its links
            page.outputs = ()
            page.append_display_data(HTML(self.table()))

        look()
        button.on_click(look)
        return widgets.VBox([page, button])

    def __repr__(self) -> str:
        name = os.environ.get("BACKBONES_PROGRESS", "off")
        file = f"{USUAL_FILE} in your home folder" if name == "off" else name
        return f"What you have done is kept in one file, {file}. To begin anew, delete that file."

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        live = {} if os.environ.get("BACKBONES_PROGRESS") == "off" else view(self.form())
        return live | {"text/plain": f"[progress page: run this notebook to see it] {self}"}


def view(widget: widgets.DOMWidget) -> dict[str, Any]:
    """What a front end needs to show a widget. (ipywidgets 7, which Colab has, gives it to nobody.)"""
    return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def count(done: Done, notebook: Path, whole: list[str]) -> str:
    """Two cells of the table: the notebook, with a link where it is, and how much of the whole is done there.

    Args:
        whole: what there is to do; empty: not known, then all that is done counts.
    """
    name = notebook.stem
    if notebook.is_file():
        name = f'<a href="{notebook.as_posix()}">{name}</a>'
    if not whole:
        return f"<td>{name}</td><td>{sum(where == notebook.stem for where, _ in done)}</td>"
    share = sum((notebook.stem, what) in done for what in whole)
    return f"<td>{name}</td><td>{share} of {len(whole)}</td>"
