"""Before nbgrader: which labs there are, whose notebook is whose, and is it this lab's notebook?"""

import copy
import json
import os
import re
from pathlib import Path

import pytest
from grading_samples import cell_of, hand_in
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.__main__ import main
from grading.collect import Collected, Person, collect
from grading.labs import CourseError, Lab, find_lab, find_labs
from grading.repair import MAX_MEGABYTES, Ungradable, prepare

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab99", "handed in"], "there is no lab 'lab99'; there are: lab77 (lab77_tiny)"),
        (["lab77", "nowhere"], "there is no folder or zip"),
        (["lab77", "nbgrader_config.py"], "is a file: give the folder"),
        (["lab77", "broken.zip"], "is not a zip, or a damaged one: download it again"),
        (["lab77", "solutions/lab77_tiny", "--out", "50%20"], "choose a folder without %"),
        (["lab77", "nothing", "--late", "10%"], "--late needs --due"),
        (["lab77", "nothing", "--due", "tomorrow"], 'write it like "2026-12-01 23:59"'),
        (["lab77", "nothing", "--due", "2026-12-01", "--late", "a lot"], "write it like 10%"),
        (["lab77", "nothing", "--export", "ilias", "x.csv"], "say canvas or moodle"),
        (["lab77", "nothing", "--export", "canvas", "x.csv"], "x.csv cannot be read"),
        (["lab77", "nothing", "--export", "canvas", "other.csv"], "is no gradebook from Canvas"),
        (["lab77", "solutions", "--out", "solutions/graded"], "neither in the other"),
        (["lab77", "solutions/lab77_tiny", "--out", "out[1]"], "choose a path without [ ] * ?"),
        (["lab77", "nothing"], "no notebooks in"),
    ],
)
def test_usage_errors_are_sentences(tiny, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tiny["root"])
    Path("nothing").mkdir(exist_ok=True)
    Path("broken.zip").write_text("no zip")
    Path("other.csv").write_text("a,b\n1,2\n")
    assert main(["grade", *arguments]) == 2
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


def read(source: Path) -> Collected:
    return collect(source, LAB, source.with_name(f"{source.name}-unpacked"))


@pytest.mark.parametrize(
    ("entry", "name", "student"),
    [
        ("Ada Lovelace_123456_assignsubmission_file_/lab01.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("Ada Lovelace_123456_assignsubmission_file/x.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("Ada Lovelace_123456_assignsubmission_file_lab01.ipynb", "Ada Lovelace", "ada_lovelace_123456"),
        ("lovelaceada_12345_678910_lab01.ipynb", "lovelaceada", "lovelaceada_12345"),
        ("lovelaceada_LATE_12345_678910_lab01-1.ipynb", "lovelaceada", "lovelaceada_12345"),
        ("lovelaceada_late_12345_678910_lab01.ipynb", "lovelaceada", "lovelaceada_12345"),
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
    ((found, submission),) = read(tmp_path).submissions.items()
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
    assert set(read(tmp_path).submissions) == {"ada_lovelace_1", "ada_lovelace_2"}


@pytest.mark.parametrize(
    "names",
    [
        ("José.ipynb", "Jose.ipynb"),
        ("Ada.ipynb", "ada.txt"),
        ("ada.ipynb", "ada/lab01.ipynb"),
        ("a b.ipynb", "a_b.ipynb"),
        ("sec_3_17_lab01.ipynb", "sec_3_18_lab01.ipynb"),
        ("team_1_1_lab01.ipynb", "team_1_2_lab01.ipynb", "team_1_3_lab01.ipynb"),
        ("hw_2026_11_ada.ipynb", "hw_2026_11_bob.ipynb"),
        ("team_1_1_lab01_ada.ipynb", "team_1_2_lab01_bob.ipynb"),
    ],
)
def test_people_whom_names_do_not_tell_apart_stay_apart_and_the_instructor_is_told(tmp_path, names):
    for name in names:
        hand_in(tmp_path / name, json.dumps(new_notebook()))
    hand_in(tmp_path / "bob.ipynb", "{}")
    submissions = read(tmp_path).submissions
    assert {one.path for one in submissions.values()} == {tmp_path / name for name in (*names, "bob.ipynb")}
    for student, one in submissions.items():
        assert re.fullmatch(r"[a-z0-9_]{1,70}", student)
        assert bool(one.doubts) == (one.name != "bob")
        assert all("then grade again" in doubt for doubt in one.doubts)


def test_the_labs_name_in_front_is_nobodys_in_canvas(tmp_path):
    names = ["lab01_2026_11_ada", "lab01_2026_11_bob"]
    for name in names:
        hand_in(tmp_path / f"{name}.ipynb", "{}")
    found = read(tmp_path).submissions.values()
    assert [(one.name, one.doubts) for one in found] == [(name, ()) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        (
            "Jos\u00e9 D_7_assignsubmission_file_/lab01.ipynb",
            "Jose\u0301 D_7_assignsubmission_file/lab01.ipynb",
        ),
        ("JOSE D_7_assignsubmission_onlinetext_/x.html", "Jos\u00e9 D_7_assignsubmission_file_/lab01.ipynb"),
        ("ada_7_100_lab01.ipynb", "ADA_7_200_lab01-1.ipynb"),
        (
            "lab01_ADA_attempt_2026-11-20-10-00-00_lab01.ipynb",
            "lab01_ada_attempt_2026-11-21-09-00-00_lab01.ipynb",
        ),
        ("Jos\u00e9.ipynb", "Jose\u0301.ipynb"),
        ("ada.docx", "ada.ipynb"),
    ],
)
def test_one_person_in_two_spellings_is_one(tmp_path, names):
    for age, name in enumerate(names):
        os.utime(hand_in(tmp_path / name, "{}"), (1_000_000_000 + age,) * 2)
    (submission,) = read(tmp_path).submissions.values()
    assert submission.path == tmp_path / names[-1]
    assert submission.doubts == ()


def test_the_id_of_a_name_does_not_depend_on_how_a_system_spells_letters():
    assert Person("file", "Łuk\u00e9", "").student == Person("file", "Łuke\u0301", "").student


@pytest.mark.parametrize("name", ["con", "PRN", "nul", "com1", "LPT9", "aux"])
def test_no_id_is_a_name_that_windows_keeps_to_itself(name):
    assert re.fullmatch(r"[a-z0-9]+_[0-9a-f]{8}", Person("file", name, "").student)


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
    result = read(tmp_path)
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
    result = read(tmp_path)
    assert {key: one.problem for key, one in result.submissions.items()} == {"ada": None, "bo_7": None}
    online = "Bo_7_assignsubmission_onlinetext_/onlinetext.html"
    assert set(result.ignored) == {"grades.csv", "ada/notes.pdf", online}


def test_several_notebooks_in_a_folder(tmp_path):
    for name in ("ada/lab01.ipynb", "ada/scratch.ipynb", "bob/one.ipynb", "bob/two.ipynb"):
        hand_in(tmp_path / name, "{}")
    found = read(tmp_path).submissions
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
    result = read(folder)
    assert {key for key, one in result.submissions.items() if one.path} == {"ada"}
    assert set(result.submissions) == {"ada", "eve", "mallory", "oscar"}, "everybody has a row"
    assert "is a link, not a file" in result.submissions["mallory"].problem
    assert set(result.ignored) == {"eve/lab01.ipynb (a link)", "mallory.ipynb (a link)", "oscar (a link)"}


# --- is it this lab's notebook?


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b'{"cells": [', "the file is damaged (line 1)"),
        (b"\xff\xfe{\x00}\x00", "not a Jupyter notebook"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a Jupyter notebook"),
        (b"{}", "not a Jupyter notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}', "not a Jupyter notebook"),
        (json.dumps(new_notebook()).encode(), "has no cells"),
        (
            json.dumps(new_notebook(cells=[new_code_cell("1")])).encode(),
            "none of the lab's 5 graded cells are in",
        ),
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
