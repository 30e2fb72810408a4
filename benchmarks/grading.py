"""Grading beside nbgrader's own autograde: notebooks a minute, and the same points.

    python course.py bench grading [LAB ...] [--students 6]        default: lab05, and a lab that does nothing
    python course.py bench grading --scale 30 1000                 classes of small notebooks, also on a cluster

The same submissions, right ones with one exercise each left out in turn, go through `nbgrader autograde`, one
after the other as it does, and through `python -m grading` with one and with two workers; in turns, so that a
slow minute hits all of them. Seconds count from the command's start to its end, so starting Python, torch and
the check with the lab's own solution are in them. Each of the two writes its own part of benchmarks/grading.md.

With --scale, classes of that many students hand in the lab that does nothing; they are graded by one worker, by
two, and by a Dask cluster of two worker processes on this machine, which is started before the clock.
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
HEADINGS = ("## Beside nbgrader's autograde", "## Large classes")


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
    root: Path, lab: Lab, notebooks: dict[str, NotebookNode], out: Path, *options: str
) -> tuple[float, dict]:
    """Seconds and points of `python -m grading grade`; `options`: how many workers, or a cluster."""
    for student, notebook in notebooks.items():
        path = out / "handed in" / f"{student}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
    command = [
        sys.executable,
        "-m",
        "grading",
        "grade",
        lab.notebook,
        str(out / "handed in"),
        "--out",
        str(out / "graded"),
    ]
    start = time.monotonic()
    subprocess.run([*command, *options, "--course", str(root)], cwd=ROOT, check=True, capture_output=True)
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
            seconds[way], found = by_us(
                root, lab, notebooks, Path(folder) / f"ours{workers}", "--workers", workers
            )
            assert found == expected, f"{lab.notebook}, {way}: other points than nbgrader gives"
    return seconds


def measure_scale(root: Path, lab: Lab, students: int) -> dict[str, float]:
    """Seconds by way of running, for a class of small notebooks.

    Raises:
        AssertionError: where the points differ.
    """
    from distributed import LocalCluster

    with tempfile.TemporaryDirectory() as folder:
        release = generate(root, lab, Path(folder) / "release")
        notebooks = submissions(lab, release, students)
        seconds, first = {}, None
        local = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0")
        with local:
            ways = {way: ("--workers", workers) for way, workers in OURS.items()}
            ways["ours, cluster of 2"] = ("--scheduler", local.scheduler_address)
            for number, (way, options) in enumerate(ways.items()):
                seconds[way], found = by_us(root, lab, notebooks, Path(folder) / f"ours{number}", *options)
                first = first or found
                assert found == first, f"{way}: other points than with one worker"
    return seconds


def beside_nbgrader(tiny: Path, names: list[str], students: int) -> list[str]:
    """The first part of the results."""
    lines = []
    for root, lab in [(ROOT, find_lab(ROOT, name)) for name in names] + [(tiny, find_lab(tiny, "lab77"))]:
        seconds = measure(root, lab, students)
        theirs = seconds["nbgrader autograde"]
        for way, time_taken in seconds.items():
            each = time_taken / students
            figures = f"{time_taken:.0f} | {each:.1f} | {60 / each:.1f} | {theirs / time_taken:.1f}"
            lines.append(f"| {lab.notebook} | {way} | {figures} |")
            print(lines[-1], flush=True)
    return [
        f"Measured {datetime.date.today():%Y-%m-%d} by `python course.py bench grading {' '.join(names)} --students "
        f"{students}`",
        f"on {machine()}, one OpenMP thread a process, each way once. Points are the same, cell by cell.",
        "Ours includes the start of the sandboxes, the check with the lab's own solution, and the feedback pages;",
        "nbgrader's makes no feedback and has no sandbox. lab77 is a lab whose cells take no time: it shows what a",
        "submission costs besides its cells.",
        "",
        "| lab | way | seconds in all | seconds a notebook | notebooks a minute | times as fast |",
        "|---|---|---:|---:|---:|---:|",
        *lines,
    ]


def large_classes(tiny: Path, classes: list[int]) -> list[str]:
    """The second part of the results."""
    lines = []
    for students in classes:
        for way, time_taken in measure_scale(tiny, find_lab(tiny, "lab77"), students).items():
            lines.append(f"| {students:,} | {way} | {time_taken:.0f} | {60 * students / time_taken:.0f} |")
            print(lines[-1], flush=True)
    sizes = " ".join(map(str, classes))
    return [
        f"Measured {datetime.date.today():%Y-%m-%d} by `python course.py bench grading --scale {sizes}`",
        f"on {machine()}, one OpenMP thread a process, each way once, with the lab whose cells take no time (lab77).",
        "Points are the same each way. The cluster is two worker processes on the same machine: it shows what the",
        "way across costs, not what a second machine brings. It starts before the clock, its sandboxes after.",
        "",
        "| students | way | seconds in all | notebooks a minute |",
        "|---:|---|---:|---:|",
        *lines,
    ]


def write_part(heading: str, lines: list[str]) -> None:
    """Put a part of the results in its place, and leave the other as it is."""
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = {
        one: part.strip() for one in HEADINGS if (part := old.partition(f"{one}\n")[2].partition("\n## ")[0])
    }
    parts[heading] = "\n".join(lines)
    text = "\n\n".join(f"{one}\n\n{parts[one]}" for one in HEADINGS if one in parts)
    RESULTS.write_text(f"# How fast grading is\n\n{text}\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write a table."""
    parser = argparse.ArgumentParser(prog="python course.py bench grading")
    parser.add_argument("lab", nargs="*", default=["lab05"])
    parser.add_argument("--students", type=int, default=6)
    parser.add_argument(
        "--scale", type=int, nargs="+", metavar="STUDENTS", help="measure classes of these sizes"
    )
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from grading_samples import tiny_course

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_course(Path(folder))
        if options.scale:
            write_part(HEADINGS[1], large_classes(tiny, options.scale))
        else:
            write_part(HEADINGS[0], beside_nbgrader(tiny, options.lab, options.students))
    return 0


if __name__ == "__main__":
    sys.exit(main())
