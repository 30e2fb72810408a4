"""Grading from end to end on lab 01, and its parts: names, checks, points by hand, labs/ from solutions/."""

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
from grading_samples import DOUBLE, HALVE, ROOT, cell_of, hand_in, tiny_course, tiny_lab
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_solution

from authoring import release as authoring_release
from grading.__main__ import main
from grading.collect import Person, collect
from grading.labs import CourseError, Lab, find_lab, find_labs
from grading.repair import MAX_MEGABYTES, Ungradable, grade_id, prepare

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")


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


def with_answers(stubs: NotebookNode, source: NotebookNode) -> NotebookNode:
    """A student's notebook: the learner's version with the answers from the lab's source."""
    answered = copy.deepcopy(stubs)
    for cell in answered.cells:
        if is_solution(cell):
            cell.source = cell_of(source, grade_id(cell)).source + "\n"
    return answered


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
    built = authoring_release.build(ROOT, lab, folder / "release")
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
    run = grade("lab01", handed_in, "--out", folder / "graded")
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
    assert f"1/5 Ada Lovelace ... {points[0]:.1f}/{float(table['Ada Lovelace']['max']):g} (" in output
    assert lab01["run"].stderr == ""
    assert (lab01["out"] / "grade.log").stat().st_size > 0


def test_lab01_submissions_are_only_read(lab01):
    assert lab01["unchanged"]


# --- a tiny lab: what students do to notebooks, and grading again


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict:
    """A course with the tiny lab, and its learner's version."""
    root = tiny_course(tmp_path_factory.mktemp("course"))
    assert authoring_release.main(["--course", str(root)]) == 0
    stubs = nbformat.read(root / "labs" / "lab77_tiny" / "lab77.ipynb", as_version=4)
    return {"root": root, "stubs": stubs, "right": with_answers(stubs, tiny_lab())}


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
    assert main(["lab77", str(handed_in), "--course", str(root)]) == 0
    return {**tiny, "table": read_table(root / "graded" / "lab77.csv"), "handed_in": handed_in}


def test_a_warning_costs_no_points(tiny_graded):
    row = tiny_graded["table"]["warner"]
    assert (row["status"], row["points"]) == ("graded", "8.0")


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


def test_a_notebook_that_kills_its_kernel_is_named_and_stops_nobody(tiny_graded):
    row = tiny_graded["table"]["killer"]
    assert (row["status"], row["points"]) == ("problem", "0.0")
    assert "could not be run to its end" in row["note"]
    assert len(tiny_graded["table"]) == 5


def test_grading_again_keeps_points_given_by_hand(tiny_graded):
    root, handed_in = tiny_graded["root"], tiny_graded["root"] / "again"
    url = f"sqlite:///{root / 'graded' / 'gradebook.db'}"

    def again() -> dict[str, str]:
        assert main(["lab77", str(handed_in), "--course", str(root)]) == 0
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
    assert main(["lab77", str(tiny_graded["handed_in"]), "--course", str(root)]) == 2
    assert "choose a new folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab99", "handed in"], "there is no lab 'lab99'; there are: lab77 (lab77_tiny)"),
        (["lab77", "nowhere"], "there is no folder"),
        (["lab77", "nbgrader_config.py"], "is a file: unpack it"),
        (["lab77", "solutions", "--out", "solutions/graded"], "neither in the other"),
        (["lab77", "solutions/lab77_tiny", "--out", "out[1]"], "choose a path without [ ] * ?"),
        (["lab77", "nothing"], "no notebooks in"),
    ],
)
def test_usage_errors_are_sentences(tiny, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tiny["root"])
    Path("nothing").mkdir(exist_ok=True)
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


# --- which labs there are


def test_labs_are_found_by_both_names_in_order_and_without_what_jupyter_leaves(tmp_path):
    for name in ("lab02_b/lab02", "lab01_a/lab01", "lab01_a/.ipynb_checkpoints/lab01-checkpoint"):
        hand_in(tmp_path / "solutions" / f"{name}.ipynb", "{}")
    (tmp_path / "solutions" / ".ipynb_checkpoints").mkdir()
    hand_in(tmp_path / "solutions" / "README.md", "")
    assert [lab.notebook for lab in find_labs(tmp_path)] == ["lab01", "lab02"]
    assert find_lab(tmp_path, "lab02") == find_lab(tmp_path, "lab02_b") == find_labs(tmp_path)[1]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "there are no labs in .*solutions: run this in the course's folder"),
        (["lab01_a/lab01.ipynb", "lab01_a/old.ipynb"], "lab01_a must hold exactly one notebook, .* holds 2"),
        (["lab01_a/notes.txt"], "lab01_a must hold exactly one notebook, .* holds 0"),
    ],
)
def test_a_folder_of_labs_that_is_wrong_is_named(tmp_path, files, sentence):
    for name in files:
        hand_in(tmp_path / "solutions" / name, "{}")
    with pytest.raises(CourseError, match=sentence):
        find_labs(tmp_path)


# --- whose notebook is whose


@pytest.mark.parametrize(
    ("entry", "name", "student"),
    [
        ("Ada Lovelace_123456_assignsubmission_file_/lab01.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("Ada Lovelace_123456_assignsubmission_file/x.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("Ada Lovelace_123456_assignsubmission_file_lab01.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("lovelaceada_12345_678910_lab01.ipynb", "lovelaceada", "lovelaceada_12345"),
        ("lovelaceada_LATE_12345_678910_lab01-1.ipynb", "lovelaceada", "lovelaceada_12345"),
        ("lovelaceada_10430000000012345_678910_my_lab.ipynb", "lovelaceada", "lovelaceada_10430000000012345"),
        ("lab01_alovelace_attempt_2026-11-20-10-00-00_lab01.ipynb", "alovelace", "alovelace"),
        ("lab01_a_lovelace_attempt_2026-11-20-10-00-00_lab01.ipynb", "a_lovelace", "a_lovelace"),
        ("Lab 1_ada_attempt_2026-11-20-10-00-00_lab01.ipynb", "Lab 1_ada", "lab_1_ada"),
        ("ada.ipynb", "ada", "ada"),
        ("Ada.IPYNB", "Ada", "ada"),
        ("ada/lab01.ipynb", "ada", "ada"),
        ("ada/lab01 (1).ipynb", "ada", "ada"),
        ("ada/unpacked/lab01.ipynb", "ada", "ada"),
        ("O'Neil, Jürgen.ipynb", "O'Neil, Jürgen", "o_neil_jurgen"),
        ("a\x1b[31mb.ipynb", "a?[31mb", "a_31mb"),
        ("=1+1.ipynb", "=1+1", "1_1"),
    ],
)
def test_names_as_systems_export_them(tmp_path, entry, name, student):
    hand_in(tmp_path / entry, "{}")
    ((found, submission),) = collect(tmp_path, LAB).submissions.items()
    assert (submission.name, found) == (name, student)
    assert submission.path == tmp_path / entry


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        "/etc/passwd",
        "a/../../b",
        "李明",
        "Łukasz",
        "محمد",
        "💥",
        "",
        "x" * 500,
        "a\0b",
        "\ud800",
        "*",
    ],
)
def test_any_name_makes_a_safe_and_stable_id(name):
    student = Person("Moodle", name, "").student
    assert re.fullmatch(r"[a-z0-9_]{1,70}", student)
    assert student == Person("Moodle", name, "").student


def test_different_names_that_ascii_cannot_tell_apart_stay_different():
    names = ["李明", "王明", "Łukasz", "Øukasz", "ukasz", "x" * 100, "x" * 101, "💥", "💣"]
    assert len({Person("Moodle", name, "").student for name in names}) == len(names)


def test_two_people_of_one_name_stay_two(tmp_path):
    for number in (1, 2):
        hand_in(tmp_path / f"Ada Lovelace_{number}_assignsubmission_file_/lab01.ipynb", "{}")
    assert set(collect(tmp_path, LAB).submissions) == {"ada_lovelace_1", "ada_lovelace_2"}


@pytest.mark.parametrize(
    "names", [("José.ipynb", "Jose.ipynb"), ("ada.ipynb", "ada/lab01.ipynb"), ("a b.ipynb", "a_b.ipynb")]
)
def test_names_that_would_share_an_id_are_an_error_that_lists_them(tmp_path, names):
    for name in (*names, "bob.ipynb"):
        hand_in(tmp_path / name, "{}")
    with pytest.raises(CourseError) as caught:
        collect(tmp_path, LAB)
    for name in names:
        assert repr(Path(name).parts[0].removesuffix(".ipynb")) in str(caught.value)
    assert "bob" not in str(caught.value)


@pytest.mark.parametrize(
    "uploads",  # the last one counts
    [
        ("ada_1_100_lab01.ipynb", "ada_1_200_lab01-1.ipynb"),
        ("ada_1_99_lab01.ipynb", "ada_LATE_1_100_lab01.ipynb"),
        ("ada_1_300_scratch.ipynb", "ada_1_200_lab01.ipynb"),
        (
            "lab01_ada_attempt_2026-11-20-10-00-00_lab01.ipynb",
            "lab01_ada_attempt_2026-11-21-09-00-00_lab01.ipynb",
        ),
    ],
)
def test_the_latest_attempt_counts_and_the_summary_says_so(tmp_path, uploads):
    for name in uploads:
        hand_in(tmp_path / name, "{}")
    result = collect(tmp_path, LAB)
    (submission,) = result.submissions.values()
    assert submission.path.name == uploads[-1]
    (remark,) = result.remarks
    assert remark.endswith(f"graded {uploads[-1]}, not {uploads[0]}")


def test_what_is_no_notebook_is_named_and_ignored(tmp_path):
    hand_in(tmp_path / "ada/lab01.ipynb", "{}")
    hand_in(tmp_path / "ada/__MACOSX/._lab01.ipynb", "")
    hand_in(tmp_path / "ada/.ipynb_checkpoints/lab01-checkpoint.ipynb", "{}")
    hand_in(tmp_path / "ada/notes.pdf", "")
    hand_in(tmp_path / "grades.csv", "")
    hand_in(tmp_path / ".DS_Store", "")
    hand_in(tmp_path / "Bo_7_assignsubmission_file_/lab01.ipynb", "{}")
    hand_in(tmp_path / "Bo_7_assignsubmission_onlinetext_/onlinetext.html", "")
    result = collect(tmp_path, LAB)
    assert {key: one.problem for key, one in result.submissions.items()} == {"ada": None, "bo_7": None}
    online = Path("Bo_7_assignsubmission_onlinetext_", "onlinetext.html")
    assert set(result.ignored) == {"grades.csv", str(Path("ada", "notes.pdf")), str(online)}


def test_several_notebooks_in_a_folder(tmp_path):
    for name in ("ada/lab01.ipynb", "ada/scratch.ipynb", "bob/one.ipynb", "bob/two.ipynb"):
        hand_in(tmp_path / name, "{}")
    found = collect(tmp_path, LAB).submissions
    assert found["ada"].path.name == "lab01.ipynb"
    assert found["bob"].path is None
    assert "2 notebooks were handed in" in found["bob"].problem


@pytest.mark.skipif(os.name == "nt", reason="Windows gives links to administrators only")
def test_links_are_not_followed(tmp_path):
    secret = hand_in(tmp_path / "secret" / "lab01.ipynb", "{}")
    folder = tmp_path / "handed in"
    hand_in(folder / "ada.ipynb", "{}")
    (folder / "eve").mkdir()
    (folder / "eve" / "lab01.ipynb").symlink_to(secret)
    (folder / "mallory.ipynb").symlink_to(secret)
    (folder / "oscar").symlink_to(secret.parent)
    result = collect(folder, LAB)
    assert {key for key, one in result.submissions.items() if one.path} == {"ada"}
    assert set(result.ignored) == {"mallory.ipynb (a link)", "oscar (a link)"}


# --- is it this lab's notebook?


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b'{"cells": [', "the file is damaged (line 1)"),
        (b"\xff\xfe{\x00}\x00", "the file is damaged"),
        (b"[" * 100_000, "the file is damaged"),
        (b"[]", "not a Jupyter notebook"),
        (b"{}", "not a Jupyter notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}', "not a Jupyter notebook"),
        (json.dumps(new_notebook()).encode(), "has no cells"),
        (json.dumps(new_notebook(cells=[new_code_cell("1")])).encode(), "none of the lab's 5 graded cells"),
        (b" " * (MAX_MEGABYTES * 1_000_000 + 600_000), "the file has 21 MB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_graded_is_refused_with_a_reason(tiny, tmp_path, content, reason):
    path = tmp_path / "lab77.ipynb"
    path.write_bytes(content)
    with pytest.raises(Ungradable, match=re.escape(reason)):
        prepare(path, tiny["stubs"])


def test_a_sound_notebook_keeps_the_answers_and_the_students_own_cells(tiny, tmp_path):
    notebook = copy.deepcopy(tiny["right"])
    notebook.cells.insert(1, new_code_cell("helper = 1"))
    why = cell_of(notebook, "why")
    why["attachments"] = {"a.png": {"image/png": "aGk="}}
    prepared, notes = prepare(hand_in(tmp_path / "lab77.ipynb", notebook), tiny["stubs"])
    assert notes == []
    assert [cell.source for cell in prepared.cells] == [cell.source for cell in notebook.cells]
    assert cell_of(prepared, "why").attachments == why["attachments"]
    assert cell_of(prepared, "double").metadata == cell_of(tiny["stubs"], "double").metadata


def test_foreign_nbgrader_cells_lose_their_metadata(tiny, tmp_path):
    notebook = copy.deepcopy(tiny["right"])
    stranger = new_markdown_cell("from another lab")
    stranger.metadata["nbgrader"] = {"grade_id": "other", "grade": True}
    odd = new_code_cell("1")
    odd.metadata["nbgrader"] = "what?"
    notebook.cells += [stranger, odd]
    prepared, notes = prepare(hand_in(tmp_path / "lab77.ipynb", notebook), tiny["stubs"])
    assert notes == []
    assert [dict(cell.metadata) for cell in prepared.cells[-2:]] == [{}, {}]


# --- labs/ from solutions/


def test_nothing_of_solutions_and_hidden_tests_reaches_learners(tiny):
    """(What stands in labs/ is tested in tests/labs/.)"""
    text = "\n".join(cell.source for cell in tiny["stubs"].cells)
    for secret in ("SOLUTION", "HIDDEN", "return 2 * x", "double(-3)", "halve(1)", "Because."):
        assert secret not in text
    assert "# Exercise 1: one line.\n    raise NotImplementedError(" in text


def test_release_is_the_same_again_and_tells_drift(tmp_path, capsys):
    root = tiny_course(tmp_path / "course")
    lab = root / "labs" / "lab77_tiny" / "lab77.ipynb"
    check = ["--check", "--course", str(root)]
    assert authoring_release.main(check) == 1
    assert "labs/lab77_tiny/lab77.ipynb is missing" in capsys.readouterr().err
    assert authoring_release.main(["--course", str(root)]) == 0
    first = lab.read_bytes()
    assert authoring_release.main(["lab77", "--course", str(root)]) == 0
    assert lab.read_bytes() == first
    assert authoring_release.main(check) == 0
    assert not (root / "graded").exists()
    assert not (root / "gradebook.db").exists()
    lab.write_bytes(first + b"\n")
    hand_in(lab.parent / "extra.txt", "")
    capsys.readouterr()
    assert authoring_release.main(check) == 1
    errors = capsys.readouterr().err
    assert "labs/lab77_tiny/lab77.ipynb differs from its solution" in errors
    assert "labs/lab77_tiny/extra.txt comes from no solution" in errors
    assert authoring_release.main(["lab99", "--course", str(root)]) == 2


def break_double(old: str, new: str):
    """A way to spoil the tiny lab: replace text in the cell `double`."""

    def spoil(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, "double")
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return spoil


def same_grade_id(notebook: NotebookNode) -> None:
    cell_of(notebook, "test_halve").metadata["nbgrader"]["grade_id"] = "test_double"


def same_cell_id(notebook: NotebookNode) -> None:
    cell_of(notebook, "test_halve").id = "test_double"


def hidden_in_the_open(notebook: NotebookNode) -> None:
    notebook.cells.append(new_code_cell("### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS"))


def unpaired_hidden(notebook: NotebookNode) -> None:
    cell = cell_of(notebook, "test_double")
    cell.source = cell.source.replace("    ### END HIDDEN TESTS", "").replace("### END HIDDEN TESTS", "")


def no_points(notebook: NotebookNode) -> None:
    del cell_of(notebook, "test_double").metadata["nbgrader"]["points"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            break_double("### END SOLUTION", ""),
            "cell double: ### BEGIN SOLUTION and ### END SOLUTION do not pair up",
        ),
        (
            break_double("### BEGIN SOLUTION", ""),
            "cell double: ### BEGIN SOLUTION and ### END SOLUTION do not pair up",
        ),
        (break_double("SOLUTION", "ANSWER"), "cell double: put the answer between"),
        (same_grade_id, "2 cells have the grade_id 'test_double'"),
        (same_cell_id, "is not a sound notebook"),
        (hidden_in_the_open, "make it a test cell"),
        (unpaired_hidden, "### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS do not pair up"),
        (no_points, "nbgrader refuses it"),
    ],
)
def test_mistakes_in_a_lab_are_sentences_and_leave_labs_alone(tmp_path, capsys, spoil, sentence):
    root = tiny_course(tmp_path / "course")
    kept = hand_in(root / "labs" / "lab77_tiny" / "lab77.ipynb", "as it was")
    notebook = tiny_lab()
    spoil(notebook)
    hand_in(root / "solutions" / "lab77_tiny" / "lab77.ipynb", notebook)
    assert authoring_release.main(["--course", str(root)]) == 1
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.startswith(str(Path("solutions", "lab77_tiny", "lab77.ipynb")))
    assert kept.read_text() == "as it was"
