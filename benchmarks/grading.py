"""Grading beside nbgrader's own autograde: notebooks a minute, and the same points.

    python course.py bench grading [LAB ...] [--students 6]        default: lab05, and a lab that does nothing

The same submissions, right ones with one exercise each left out in turn, go through `nbgrader autograde`, one
after the other as it does, and through `python -m grading` with one and with two workers; in turns, so that a
slow minute hits all of them. Seconds count from the command's start to its end, so starting Python, torch and
the check with the lab's own solution are in them. The results are written to benchmarks/grading.md.
"""

import argparse
import copy
import csv
import datetime
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_solution

from benchmarks.lessons import machine
from grading.convert import generate
from grading.labs import Lab, find_lab

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("grading.md")
OURS = {"ours, 1 worker": "1", "ours, 2 workers": "2"}


def submissions(lab: Lab, release: Path, students: int) -> dict[str, NotebookNode]:
    """Notebooks with all answers but one; which one goes round."""
    stubs = nbformat.read(release, as_version=4)
    source = {cell.id: cell for cell in nbformat.read(lab.source, as_version=4).cells}
    answers = [cell.id for cell in stubs.cells if cell.cell_type == "code" and is_solution(cell)]
    result = {}
    for number in range(students):
        notebook = copy.deepcopy(stubs)
        for cell in notebook.cells:
            if cell.id in answers and cell.id != answers[number % len(answers)]:
                cell.source = source[cell.id].source
        result[f"student{number}"] = notebook
    return result


def by_nbgrader(root: Path, lab: Lab, notebooks: dict[str, NotebookNode], out: Path) -> tuple[float, dict]:
    """Seconds and points of `nbgrader autograde`."""
    out.mkdir()
    database = f"sqlite:///{out / 'gradebook.db'}"
    generate(root, lab, out / "release", database)
    for student, notebook in notebooks.items():
        path = out / "submitted" / student / lab.folder.name / lab.source.name
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    settings = {"root": out, "db_url": database, "source_directory": lab.folder.parent}
    options = [f"--CourseDirectory.{name}={value}" for name, value in settings.items()]
    options += [f"--CourseDirectory.{step}_directory={step}" for step in ("submitted", "autograded")]
    command = [
        sys.executable,
        "-m",
        "nbgrader",
        "autograde",
        lab.folder.name,
        *options,
        "--Execute.timeout=300",
    ]
    start = time.monotonic()
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    seconds = time.monotonic() - start
    points = {}
    with Gradebook(database) as gradebook:
        for student in notebooks:
            (notebook,) = gradebook.find_submission(lab.folder.name, student).notebooks
            points[student] = {grade.name: grade.auto_score or 0.0 for grade in notebook.grades}
    return seconds, points


def by_us(
    root: Path, lab: Lab, notebooks: dict[str, NotebookNode], out: Path, workers: str
) -> tuple[float, dict]:
    """Seconds and points of `python -m grading`."""
    for student, notebook in notebooks.items():
        path = out / "handed in" / f"{student}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
    command = [
        sys.executable,
        "-m",
        "grading",
        lab.notebook,
        str(out / "handed in"),
        "--out",
        str(out / "graded"),
    ]
    start = time.monotonic()
    subprocess.run(
        [*command, "--workers", workers, "--course", str(root)], cwd=ROOT, check=True, capture_output=True
    )
    seconds = time.monotonic() - start
    by_tests = {
        cell.metadata.nbgrader.grade_id
        for cell in nbformat.read(lab.source, as_version=4).cells
        if is_grade(cell)
    }
    with (out / "graded" / f"{lab.notebook}.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    return seconds, {name: {key: float(rows[name][key]) for key in by_tests} for name in notebooks}


def measure(root: Path, lab: Lab, students: int) -> dict[str, float]:
    """Seconds by way of grading.

    Raises:
        AssertionError: where the points differ.
    """
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        release = generate(root, lab, Path(folder) / "release")
        notebooks = submissions(lab, release, students)
        seconds["nbgrader autograde"], expected = by_nbgrader(root, lab, notebooks, Path(folder) / "theirs")
        for way, workers in OURS.items():
            seconds[way], found = by_us(root, lab, notebooks, Path(folder) / f"ours{workers}", workers)
            assert found == expected, f"{lab.notebook}, {way}: other points than nbgrader gives"
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python course.py bench grading")
    parser.add_argument("lab", nargs="*", default=["lab05"])
    parser.add_argument("--students", type=int, default=6)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from grading_samples import tiny_course

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_course(Path(folder))
        cases = [(ROOT, find_lab(ROOT, name)) for name in options.lab] + [(tiny, find_lab(tiny, "lab77"))]
        for root, lab in cases:
            seconds = measure(root, lab, options.students)
            theirs = seconds["nbgrader autograde"]
            for way, time_taken in seconds.items():
                each = time_taken / options.students
                figures = f"{time_taken:.0f} | {each:.1f} | {60 / each:.1f} | {theirs / time_taken:.1f}"
                lines.append(f"| {lab.notebook} | {way} | {figures} |")
                print(lines[-1], flush=True)
    command = f"python course.py bench grading {' '.join(options.lab)} --students {options.students}"
    lines = [
        "# Grading beside nbgrader's autograde",
        "",
        f"Measured {datetime.date.today():%Y-%m-%d} by `{command}`",
        f"on {machine()}, one OpenMP thread a process, each way once. Points are the same, cell by cell.",
        "Ours includes the start of the sandboxes, the check with the lab's own solution, and the feedback pages;",
        "nbgrader's makes no feedback and has no sandbox. lab77 is a lab whose cells take no time: it shows what a",
        "submission costs besides its cells.",
        "",
        "| lab | way | seconds in all | seconds a notebook | notebooks a minute | times as fast |",
        "|---|---|---:|---:|---:|---:|",
        *lines,
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
