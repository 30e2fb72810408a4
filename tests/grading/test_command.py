"""The command around the grading: what it is asked for, and what it does with the results. No kernels."""

import ast
import csv
import re
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from grading_samples import ROOT, hand_in

from grading.__main__ import HELP, UNPACKED, Options, main, read_options, report, unpacking_folder
from grading.collect import Collected, Person, Submission
from grading.labs import Lab
from grading.report import Result

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")
WORKSHEET = """\
Identifier,Full name,Grade,Maximum Grade
Participant 1,Ada,,20.00
Participant 2,Bo,7.00,20.00
Participant 3,Cy,,20.00
"""


def test_the_command_starts_without_what_takes_seconds_to_import():
    heavy = ("torch", "nbgrader", "nbformat", "numpy", "sqlalchemy", "backbones")
    code = f"import sys, grading.__main__; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_grading_does_without_the_package():
    for path in (ROOT / "grading").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "backbones" for name in names), path


def test_files_in_options_are_meant_from_where_the_person_is(tmp_path, monkeypatch):
    (tmp_path / "course").mkdir()
    monkeypatch.chdir(tmp_path / "course")  # as course.py does
    monkeypatch.setenv("BACKBONES_START", str(tmp_path))
    options = read_options(
        ["grade", "lab01", str(tmp_path / "x.zip"), "--out", "o", "--export", "moodle", "g.csv"]
    )
    assert (options.root, options.out) == (tmp_path / "course", tmp_path / "o")
    assert (options.source, options.exports) == (tmp_path / "x.zip", (("moodle", tmp_path / "g.csv"),))
    assert read_options(["grade", "lab01", "x.zip"]).out == tmp_path / "course" / "graded"
    monkeypatch.delenv("BACKBONES_START")
    assert read_options(["grade", "lab01", "x.zip", "--out", "o"]).out == tmp_path / "course" / "o"


def test_the_help_names_every_command_and_where_the_rest_is(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in HELP:
        assert re.search(rf"^    {command} +\w", said, re.MULTILINE), command
    for option in re.findall(r"--[a-z-]+", said.replace("--help", "")):
        assert option in (ROOT / "grading" / "__main__.py").read_text(encoding="utf-8")
    for command in HELP:
        with pytest.raises(SystemExit):
            main([command, "--help"])
    assert "--exercise NAME" in capsys.readouterr().out


def test_without_a_command_a_sentence_shows_how_to_call_it(capsys):
    assert main(["lab01", "submissions.zip"]) == 2
    said = capsys.readouterr().err
    assert "there is no command 'lab01'; there are: collect, grade, regrade, report." in said
    assert "python -m grading grade lab01 submissions.zip" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--workers", "0"), "at least one notebook"),
        (("--scheduler", "tcp://h:1", "--print-container-command"), "a container has no network"),
        (("--late", "10%"), "--late needs --due"),
    ],
)
def test_options_that_cannot_be_are_a_sentence(options, reason, capsys):
    assert main(["grade", "lab01", "x.zip", *options]) == 2
    assert reason in capsys.readouterr().err


def test_collecting_shows_whose_notebook_is_whose_and_writes_nothing(tmp_path, capsys):
    source = tmp_path / "in"
    hand_in(source / "Ada Lovelace_101_assignsubmission_file_" / "lab01.ipynb", '{"cells": []}')
    hand_in(source / "Bo_102_assignsubmission_file_" / "notes.txt", "I was ill.")
    before = sorted(tmp_path.rglob("*"))
    assert main(["collect", "lab01", str(source), "--course", str(ROOT), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^Ada Lovelace  Moodle +lab01\.ipynb, \d{4}-\d\d-\d\d", said, re.MULTILINE)
    assert re.search(r"^Bo +Moodle +no notebook was handed in", said, re.MULTILINE)
    assert "2 students, 1 of them without a notebook" in said
    assert "notes.txt" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_late_points_go_into_the_table_and_the_export(tmp_path, capsys):
    worksheet = hand_in(tmp_path / "g.csv", WORKSHEET)
    people = {
        "ada": Person("Moodle", "Ada", "1"),
        "bo": Person("Moodle", "Bo", "2"),
        "cy": Person("file", "Cy", ""),
    }
    times = {
        "ada": (datetime(2026, 11, 22, 9), "Moodle"),
        "bo": (None, ""),
        "cy": (datetime(2026, 11, 22, 9), "file"),
    }
    submissions = {
        key: Submission(
            person, None if key == "bo" else tmp_path, time=times[key][0], time_from=times[key][1]
        )
        for key, person in people.items()
    }
    results = [
        Result("ada", "Ada", 8.0, {"a": 8.0}, graded=True),
        Result("bo", "Bo", notes=["the file is empty."]),
        Result("cy", "Cy", 6.0, {"a": 6.0}, graded=True, doubts=["Cy could be two people."]),
    ]
    options = Options(
        tmp_path, "lab01", tmp_path, tmp_path, datetime(2026, 11, 20, 23, 59), 0.1, (("moodle", worksheet),)
    )
    report(options, LAB, SimpleNamespace(max_points={"a": 10.0}), Collected(submissions), results)
    with (tmp_path / "lab01.csv").open(encoding="utf-8-sig", newline="") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    late = {name: (row["points"], row["late"], row["points_after_penalty"]) for name, row in table.items()}
    assert late == {"Ada": ("8.0", "2", "6.4"), "Bo": ("0.0", "", "0.0"), "Cy": ("6.0", "2?", "6.0")}
    lines = (tmp_path / "lab01_moodle.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[2] for line in lines] == ["Grade", "12.8", "7.00", "12"]
    said = capsys.readouterr().out
    assert "For you to decide (students do not see this):\n  Cy could be two people." in said
    assert "Exported for moodle, 2 filled in:" in said
    assert "no system vouches for" in said
    assert f"For LMS   {tmp_path / 'lab01_moodle.csv'}" in said


def test_an_export_that_fails_loses_neither_the_table_nor_the_rest(tmp_path, capsys):
    bad, good = hand_in(tmp_path / "bad.csv", "a,b\n1,2\n"), hand_in(tmp_path / "g.csv", WORKSHEET)
    options = Options(tmp_path, "lab01", tmp_path, tmp_path, exports=(("canvas", bad), ("moodle", good)))
    submissions = {"ada": Submission(Person("Moodle", "Ada", "1"), tmp_path)}
    results = [Result("ada", "Ada", 8.0, {"a": 8.0}, graded=True)]
    report(options, LAB, SimpleNamespace(max_points={"a": 10.0}), Collected(submissions), results)
    assert (tmp_path / "lab01.csv").exists()
    assert "Participant 1,Ada,16,20.00" in (tmp_path / "lab01_moodle.csv").read_text(encoding="utf-8")
    assert "Not exported: " in capsys.readouterr().err


def test_what_a_killed_run_unpacked_goes_and_nothing_else(tmp_path):
    hand_in(tmp_path / f"{UNPACKED}old" / "000000", "x")
    hand_in(tmp_path / "lab01.csv", "x")

    def interrupted() -> None:
        with unpacking_folder(tmp_path) as folder:
            assert [path.name for path in tmp_path.iterdir() if path != folder] == ["lab01.csv"]
            hand_in(folder / "000000", "x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["lab01.csv"]


@pytest.mark.slow
def test_a_zip_is_graded_and_leaves_only_results(tiny, tmp_path):
    """All of the command, with problem submissions only: they need no kernel."""
    source, out = tmp_path / "in" / "export.zip", tmp_path / "out"
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("Ada_1_assignsubmission_file_/lab77.ipynb", "")
        archive.writestr("Eve_2_assignsubmission_file_/../../../lab77.ipynb", "{}")
        archive.writestr("Bo_3_assignsubmission_file_/lab77.pdf", "%PDF")
    before = sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(out))
    assert main(["grade", "lab77", str(source), "--course", str(tiny["root"]), "--out", str(out)]) == 0
    assert sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(out)) == before
    assert not list(out.glob(f"{UNPACKED}*"))
    with (out / "lab77.csv").open(encoding="utf-8-sig", newline="") as file:
        notes = {row["name"]: row["note"] for row in csv.DictReader(file)}
    assert "the file is empty" in notes["Ada"]
    assert "lead out of its own folder" in notes["Eve"]
    assert "is a PDF" in notes["Bo"]
