"""Grading from end to end: lab 01 by the command, a tiny lab in every state of repair, points by hand."""

import copy
import csv
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from grading_samples import DOUBLE, HALVE, ROOT, cell_of, hand_in, tiny_course, tiny_lab, with_answers
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import is_grade, is_solution
from traitlets.config import Config

from authoring import release
from grading.__main__ import main
from grading.convert import load_config, run_converter
from grading.labs import find_lab
from grading.repair import grade_id

pytestmark = pytest.mark.slow  # each student costs a kernel


def grade(*arguments: object) -> subprocess.CompletedProcess:
    """Run the command as an instructor does."""
    command = [sys.executable, "-m", "grading", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=500)


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The CSV's rows by name."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def fingerprint(folder: Path) -> dict[str, tuple]:
    """Everything below a folder: names, times of change, contents."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


def wrong_exercise(source: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """An exercise in the middle, answered with None, and the ids of its test cells."""
    exercises = [cell for cell in source.cells if is_solution(cell) and not is_grade(cell)]
    cell = exercises[len(exercises) // 2]
    tests = []
    for later in source.cells[source.cells.index(cell) + 1 :]:
        if is_solution(later):
            break
        if is_grade(later):
            tests.append(grade_id(later))
    wrong = copy.deepcopy(cell)
    wrong.source = re.sub(
        r"### BEGIN SOLUTION.*### END SOLUTION", "return None", cell.source, flags=re.DOTALL
    )
    assert wrong.source != cell.source
    return wrong, tests


# --- lab 01 from end to end


@pytest.fixture(scope="module")
def lab01(tmp_path_factory) -> dict:
    """Five students' submissions of the real lab 01, as Moodle exports them, graded by the command."""
    folder = tmp_path_factory.mktemp("lab01")
    lab = find_lab(ROOT, "lab01")
    source = nbformat.read(lab.source, as_version=4)
    built = release.build(ROOT, lab, folder / "release")
    stubs = nbformat.read(built / lab.source.name, as_version=4)
    partly = with_answers(stubs, source)
    wrong, wrong_tests = wrong_exercise(source)
    cell_of(partly, grade_id(wrong)).source = wrong.source

    handed_in = folder / "handed in"
    hand_in(handed_in / "Ada Lovelace_101_assignsubmission_file_/lab01.ipynb", with_answers(stubs, source))
    hand_in(handed_in / "Zoë Ångström_102_assignsubmission_file_/lab01 (1).ipynb", partly)
    hand_in(handed_in / "Emil Empty_103_assignsubmission_file_/lab01.ipynb", "")
    hand_in(handed_in / "Bo Broken_104_assignsubmission_file_/lab01.ipynb", json.dumps(stubs)[:2000])
    hand_in(handed_in / "Mia Missing_105_assignsubmission_file_/notes.txt", "I was ill.")
    before = fingerprint(handed_in)
    run = grade("grade", "lab01", handed_in, "--out", folder / "graded")
    return {
        "run": run,
        "out": folder / "graded",
        "unchanged": fingerprint(handed_in) == before,
        "points": {grade_id(cell): cell.metadata.nbgrader.points for cell in source.cells if is_grade(cell)},
        "by_hand": {grade_id(cell) for cell in source.cells if is_grade(cell) and is_solution(cell)},
        "wrong_tests": wrong_tests,
    }


def test_lab01_right_and_partly_right_answers_get_their_points(lab01):
    assert lab01["run"].returncode == 0, lab01["run"].stderr
    table = read_table(lab01["out"] / "lab01.csv")
    points, by_hand = lab01["points"], lab01["by_hand"]
    assert list(table["Ada Lovelace"])[5:-2] == list(points)
    assert by_hand
    assert lab01["wrong_tests"]
    for name, lost in (("Ada Lovelace", set()), ("Zoë Ångström", set(lab01["wrong_tests"]))):
        row = table[name]
        expected = {key: 0 if key in lost | by_hand else points[key] for key in points}
        assert {key: float(row[key]) for key in points} == expected
        assert float(row["points"]) == sum(expected.values())
        assert float(row["max"]) == sum(points.values())
        assert (row["status"], row["needs_manual"], row["note"]) == ("graded", "yes", "")


def test_lab01_problem_students_are_named_everywhere_and_stop_nobody(lab01):
    table = read_table(lab01["out"] / "lab01.csv")
    assert len(table) == 5
    problems = lab01["run"].stdout.partition("Problems")[2]
    for name, reason in (
        ("Emil Empty", "the file is empty"),
        ("Bo Broken", "the file is damaged"),
        ("Mia Missing", "no notebook was handed in"),
    ):
        row = table[name]
        assert (row["status"], float(row["points"]), row["needs_manual"]) == ("problem", 0, "")
        assert reason in row["note"]
        assert f"{name}: {row['note']}" in problems
        page = lab01["out"] / "feedback" / row["student"] / "lab01_feature_extraction" / "lab01.html"
        assert reason in page.read_text(encoding="utf-8")
    assert "Mia Missing_105_assignsubmission_file_/notes.txt" in lab01["run"].stdout


def test_lab01_feedback_summary_and_quiet(lab01):
    table = read_table(lab01["out"] / "lab01.csv")
    for name in ("Ada Lovelace", "Zoë Ångström"):
        page = lab01["out"] / "feedback" / table[name]["student"] / "lab01_feature_extraction" / "lab01.html"
        text = page.read_text(encoding="utf-8")
        assert re.search(rf"\(Score: {table[name]['points']} / {table[name]['max']}\)", text)
    points = [float(table[name]["points"]) for name in ("Ada Lovelace", "Zoë Ångström")]
    output = lab01["run"].stdout
    assert f"mean {statistics.mean(points):.1f}, median {statistics.median(points):.1f}" in output
    assert re.search(
        rf"^\d/5 Ada Lovelace ... {points[0]:.1f}/{float(table['Ada Lovelace']['max']):g} \(",
        output,
        re.MULTILINE,
    )
    assert lab01["run"].stderr == ""
    assert (lab01["out"] / "grade.log").stat().st_size > 0


def test_lab01_submissions_are_only_read(lab01):
    assert lab01["unchanged"]


# --- a tiny lab: what students do to notebooks, and grading again


@pytest.fixture(scope="module")
def tiny_graded(tiny) -> dict:
    """Notebooks in every state of repair, graded."""
    root, right = tiny["root"], tiny["right"]
    warner = copy.deepcopy(right)
    warning = "    import warnings; warnings.warn('deprecated')\n    return"
    cell_of(warner, "halve").source = HALVE.replace("    return", warning)

    doubled = copy.deepcopy(right)
    for key in ("double", "test_double"):
        old = copy.deepcopy(cell_of(right, key))
        old.source = "def double(x):\n    return 0" if key == "double" else "raise ValueError"
        doubled.cells.insert(0, old)

    deleted = copy.deepcopy(right)
    gone = ("double", "test_double", "test_halve", "why")
    deleted.cells = [cell for cell in deleted.cells if grade_id(cell) not in gone]
    deleted.cells.insert(1, new_code_cell(DOUBLE))

    cheat = copy.deepcopy(tiny["stubs"])
    for key, tag in (("test_double", "skip-execution"), ("test_halve", "raises-exception")):
        cell_of(cheat, key).source = "pass"
        cell_of(cheat, key).metadata["tags"] = [tag]
        cell_of(cheat, key).metadata["nbgrader"]["points"] = 100

    killer = copy.deepcopy(right)
    cell_of(killer, "halve").source = "import os\nos._exit(1)"

    handed_in = root / "handed in"
    for name, notebook in {
        "warner": warner,
        "doubled": doubled,
        "deleted": deleted,
        "cheat": cheat,
        "killer": killer,
    }.items():
        hand_in(handed_in / f"{name}.ipynb", notebook)
    assert main(["grade", "lab77", str(handed_in), "--course", str(root)]) == 0
    return {**tiny, "table": read_table(root / "graded" / "lab77.csv"), "handed_in": handed_in}


def test_a_warning_costs_no_points(tiny_graded):
    row = tiny_graded["table"]["warner"]
    assert (row["status"], row["points"]) == ("graded", "8.0")


def test_what_checks_said_is_counted_from_the_graded_notebooks(tiny_graded):
    items = {row["exercise"]: row for row in read_rows(tiny_graded, "lab77.items.csv")}
    for key in ("test_double", "test_halve"):
        lost = [row for row in tiny_graded["table"].values() if row["status"] and float(row[key]) == 0]
        row = items[key]
        counts = [int(row[f"count_{number}"] or 0) for number in (1, 2, 3)]
        assert 0 < int(row["no_points"]) <= len(lost), row  # who was not graded does not count
        assert sum(counts) == int(row["no_points"])
        assert all(": " in row[f"message_{number}"] for number in (1, 2, 3) if row[f"count_{number}"]), row
    assert int(items["why"]["unread"]) > 0
    assert read_rows(tiny_graded, "lab77.similar.csv") == []  # one short line says nothing


def read_rows(graded: dict, name: str) -> list[dict]:
    with (graded["root"] / "graded" / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_what_students_passed_is_not_the_instructors_progress(tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("BACKBONES_PROGRESS")
    seen = []

    class Spy:
        def __init__(self, **settings):
            pass

        def start(self):
            seen.append(os.environ["BACKBONES_PROGRESS"])

    run_converter(Spy, load_config(ROOT), find_lab(tiny["root"], "lab77"), root=str(tmp_path))
    assert seen == ["off"]
    assert "BACKBONES_PROGRESS" not in os.environ


def test_doubled_cells_count_where_they_stand_last(tiny_graded):
    row = tiny_graded["table"]["doubled"]
    assert (row["status"], row["points"]) == ("problem", "8.0")
    assert "more than once: double, test_double." in row["note"]
    page = tiny_graded["root"] / "graded" / "feedback" / "doubled" / "lab77_tiny" / "lab77.html"
    assert "more than once: double, test_double." in page.read_text(encoding="utf-8")


def test_deleted_cells_come_back_and_are_named(tiny_graded):
    row = tiny_graded["table"]["deleted"]
    assert (row["status"], row["points"], row["why"], row["needs_manual"]) == ("problem", "8.0", "0.0", "")
    assert "were deleted: double, test_double, test_halve, why." in row["note"]


def test_edited_tests_and_points_change_nothing(tiny_graded):
    row = tiny_graded["table"]["cheat"]
    assert (row["points"], row["max"]) == ("0.0", "10.0")


def test_an_answer_that_kills_its_process_costs_that_exercise_and_stops_nobody(tiny_graded):
    row = tiny_graded["table"]["killer"]
    assert (row["status"], row["points"]) == ("problem", "3.0")
    assert "code cell 3: the process of your code ended" in row["note"]
    assert len(tiny_graded["table"]) == 5


def test_the_formgrader_finds_what_was_graded(tiny_graded):
    """Started in the folder of results, as the command says at its end."""
    config = Config()
    config.CourseDirectory.root = str(tiny_graded["root"] / "graded")
    courses = NbGraderAPI(CourseDirectory(config=config), config=config)
    (lab,) = courses.get_assignments()
    assert (lab["name"], lab["num_submissions"], lab["max_score"]) == ("lab77_tiny", 5, 10)
    assert {one["student"] for one in courses.get_submissions("lab77_tiny")} == set(tiny_graded["table"])


def test_grading_again_keeps_points_given_by_hand(tiny_graded):
    root, handed_in = tiny_graded["root"], tiny_graded["root"] / "again"
    url = f"sqlite:///{root / 'graded' / 'gradebook.db'}"

    def again() -> dict[str, str]:
        assert main(["grade", "lab77", str(handed_in), "--course", str(root)]) == 0
        return read_table(root / "graded" / "lab77.csv")["warner"]

    first = tiny_graded["table"]["warner"]
    hand_in(
        handed_in / "warner.ipynb", (tiny_graded["handed_in"] / "warner.ipynb").read_text(encoding="utf-8")
    )

    with Gradebook(url) as gradebook:  # as the formgrader does
        grade_of_text = gradebook.find_grade("why", "lab77", "lab77_tiny", "warner")
        grade_of_text.manual_score, grade_of_text.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    assert again() == {**first, "points": "9.5", "why": "1.5", "needs_manual": ""}

    changed = nbformat.read(handed_in / "warner.ipynb", as_version=4)
    cell_of(changed, "why").source = "Another answer."
    hand_in(handed_in / "warner.ipynb", changed)
    assert again() == {**first, "points": "9.5", "why": "1.5", "needs_manual": "yes"}

    hand_in(handed_in / "warner.ipynb", "")
    assert again()["points"] == "0.0"
    with Gradebook(url) as gradebook:
        submission = gradebook.find_submission("lab77_tiny", "warner")
        assert submission.notebooks[0].code_score == 0
        assert submission.notebooks[0].written_score == 1.5, "what was given by hand is not ours to delete"
    assert not (root / "graded" / "autograded" / "warner" / "lab77_tiny").exists()


def test_a_lab_that_changed_after_grading_is_refused_with_a_way_out(tiny_graded, tmp_path, capsys):
    root = tiny_course(tmp_path / "course")
    shutil.copytree(tiny_graded["root"] / "graded", root / "graded")
    notebook = tiny_lab()
    notebook.cells = [cell for cell in notebook.cells if grade_id(cell) != "why"]
    hand_in(root / "solutions" / "lab77_tiny" / "lab77.ipynb", notebook)
    assert main(["grade", "lab77", str(tiny_graded["handed_in"]), "--course", str(root)]) == 2
    assert "choose a new folder with --out" in capsys.readouterr().err


# --- stopped runs, other machines


@pytest.fixture
def small_class(tiny, tmp_path) -> dict:
    """Six students' answers to the tiny lab, each of them right, in a course of its own."""
    root = tiny_course(tmp_path / "course")
    for number in range(6):
        notebook = copy.deepcopy(tiny["right"])
        cell_of(notebook, "double").source += f"\n# student {number}"
        hand_in(tmp_path / "handed in" / f"student{number}.ipynb", notebook)
    arguments = ["grade", "lab77", str(tmp_path / "handed in"), "--course", str(root), "--workers", "1"]
    return {"root": root, "arguments": arguments, "table": root / "graded" / "lab77.csv"}


def test_a_run_that_was_killed_goes_on_where_it_was(small_class):
    command = [sys.executable, "-u", "-m", "grading", *small_class["arguments"]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as run:
        for line in run.stdout:
            if line.startswith("2/6"):
                run.kill()
                break
    assert not small_class["table"].exists()
    again = grade(*small_class["arguments"])
    assert again.returncode == 0, again.stderr
    lines = [line for line in again.stdout.splitlines() if "/6 student" in line]
    assert len(lines) == 6
    assert sum("graded before" in line for line in lines) in (
        1,
        2,
    )  # the second's page may not have been ready
    assert {row["points"] for row in read_table(small_class["table"]).values()} == {"8.0"}
    first = small_class["table"].read_bytes()
    third = grade(*small_class["arguments"])
    assert third.stdout.count("graded before") == 6
    assert small_class["table"].read_bytes() == first


def test_a_machine_that_fails_the_solution_grades_nobody(small_class, capsys):
    source = small_class["root"] / "solutions" / "lab77_tiny" / "lab77.ipynb"
    notebook = nbformat.read(source, as_version=4)
    cell_of(notebook, "test_halve").source += "\nimport a_package_that_is_not_here"
    nbformat.write(notebook, source)
    assert main(small_class["arguments"]) == 2
    said = capsys.readouterr().err
    assert "the lab's own solution loses the points of test_halve" in said
    assert "a_package_that_is_not_here" in said
    assert not small_class["table"].exists()


def test_tests_that_anybody_passes_grade_nobody(small_class, capsys):
    source = small_class["root"] / "solutions" / "lab77_tiny" / "lab77.ipynb"
    notebook = nbformat.read(source, as_version=4)
    cell_of(notebook, "test_double").source = "assert True"
    nbformat.write(notebook, source)
    assert main(small_class["arguments"]) == 2
    assert "the lab without answers gets the points of test_double" in capsys.readouterr().err


def test_the_environment_of_the_instructor_decides_no_points(small_class, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")  # would switch every assert off
    monkeypatch.setenv("JUPYTER_PATH", "/nowhere")
    cell = json.dumps("def double(x):\n    return x")
    path = small_class["root"].parent / "handed in" / "student0.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    next(one for one in notebook["cells"] if one["id"] == "double")["source"] = json.loads(cell)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert main([*small_class["arguments"], "--no-sandbox"]) == 0
    rows = read_table(small_class["table"])
    assert rows["student0"]["points"] == "5.0"
    assert rows["student1"]["points"] == "8.0"
    assert all("graded without a sandbox" in row["note"] for row in rows.values())


def test_feedback_shows_what_hidden_checks_said_and_not_their_code(tiny, tmp_path):
    root = tiny_course(tmp_path / "course")
    notebook = copy.deepcopy(tiny["right"])
    cell_of(notebook, "double").source = "def double(x):\n    return abs(2 * x)"
    hand_in(tmp_path / "in" / "ada.ipynb", notebook)
    assert main(["grade", "lab77", str(tmp_path / "in"), "--course", str(root)]) == 0
    page = (root / "graded" / "feedback" / "ada" / "lab77_tiny" / "lab77.html").read_text(encoding="utf-8")
    assert "AssertionError" in page
    assert "(hidden checks)" in page
    assert "-6" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL).split("<body")[1]
