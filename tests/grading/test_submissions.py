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
from grading.collect import Person, collect
from grading.labs import CourseError, Lab, find_lab, find_labs
from grading.repair import MAX_MEGABYTES, Ungradable, prepare

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")


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
