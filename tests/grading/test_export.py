"""Points in the files that Canvas and Moodle exported: the right lines, nothing else, nobody guessed."""

import csv
import io
from pathlib import Path

import pytest

from grading.collect import Person
from grading.export import Exported, Grade, fill, spellings
from grading.labs import CourseError, Lab
from grading.report import Result, safe_cell, write_csv

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Lab 01: Features (4567),Lab 10 (4568),Essay (4569),Final Score
    Points Possible,,,,,20,10,100,(read only)
"Lovelace, Ada",101,s1,alovelace,CS 1,,7,80,50
"Curie, Marie",102,s2,mcurie,CS 1,3,,,
"Curie, Marie",103,s3,mcurie2,CS 1,,,,
"Ångström, Zoë",104,s4,zoe,CS 1,,,,
"=HYPERLINK(""x"")",105,s5,eve,-1.5,,,,
"Student, Test",999,,x,CS 1,,,,
"""
MOODLE = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,\
Last modified (submission),\
Last modified (grade),Feedback comments
Participant 101,Ada Lovelace,ada@school.example,Submitted for grading,,10.00,Yes,"Friday, 20 November 2026",-,
Participant 102,Marie Curie,marie@school.example,Submitted for grading,3.00,10.00,Yes,-,-,
Participant 103,Marie Curie,curie@school.example,No submission,,10.00,Yes,-,-,
Participant 104,Zoë Ångström,zoe@school.example,Submitted for grading,5.00,10.00,No,-,-,
"""


def grade(pattern: str, name: str, number: str, points: float = 8.5, graded: bool = True) -> Grade:
    return Grade(Person(pattern, name, number), points, graded)


def run(tmp_path: Path, system: str, text: str | bytes, *grades: Grade, **options) -> tuple[dict, Exported]:
    """Fill; the lines by their number, as they are afterwards, and what was said."""
    path = tmp_path / "from the system.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    options = {"most": 10, **options}
    done = fill(system, path, LAB, list(grades), out=tmp_path, **options)
    assert path.read_bytes() == before, "the system's own file stays"
    data = done.path.read_bytes().decode("utf-8-sig")
    assert data.count("\r\n") == data.count("\n")
    delimiter = ";" if data.partition("\n")[0].count(";") else ","
    rows = list(csv.reader(io.StringIO(data, newline=""), delimiter=delimiter))
    key = 1 if system == "canvas" else 0
    return {row[key]: dict(zip(rows[0], row, strict=False)) for row in rows}, done


def test_canvas_by_number_scaled_to_its_points(tmp_path):
    lines, done = run(tmp_path, "canvas", CANVAS, grade("Canvas", "lovelaceada", "101"))
    before = {row[1]: row for row in csv.reader(io.StringIO(CANVAS))}
    assert lines["101"]["Lab 01: Features (4567)"] == "17"  # 8.5 of 10, of 20
    assert any("points were scaled" in remark for remark in done.remarks)
    lines["101"]["Lab 01: Features (4567)"] = ""
    expected = {key: row for key, row in before.items() if key != "105"}
    assert {key: list(line.values()) for key, line in lines.items() if key != "105"} == expected
    assert done.filled == 1
    assert done.path.name == "lab01_canvas.csv"


def test_canvas_guards_formulas_and_keeps_numbers(tmp_path):
    lines, _ = run(tmp_path, "canvas", CANVAS, grade("Canvas", "eve", "105", 0))
    assert lines["105"]["Student"] == '\'=HYPERLINK("x")'
    assert lines["105"]["Section"] == "-1.5"
    assert lines["105"]["Lab 01: Features (4567)"] == "0"


@pytest.mark.parametrize(
    "name", ["Ada Lovelace", "lovelace_ada", "Lovelace, Ada", "ADA LOVELACE", "alovelace", "s1"]
)
def test_by_name_where_there_is_no_number(tmp_path, name):
    lines, done = run(tmp_path, "canvas", CANVAS, grade("file", name, ""))
    assert (lines["101"]["Lab 01: Features (4567)"], done.filled) == ("17", 1)


def test_names_are_the_same_with_and_without_accents():
    assert spellings("Ångström, Zoë") == spellings("Zoe Angstrom") | {"angstromzoe"}


@pytest.mark.parametrize(
    ("one", "remark"),
    [
        (grade("file", "Marie Curie", ""), "Marie Curie is not filled in: 2 lines there fit"),
        (grade("file", "Marie", ""), "Marie is not filled in: nobody there has this number or name"),
        (grade("Canvas", "lovelaceada", "7"), "lovelaceada is not filled in: nobody there has this number"),
        (grade("Moodle", "Nobody", "101"), "Nobody is not filled in: nobody there"),
        (grade("Canvas", "curiemarie", "102", 0, False), "curiemarie could not be graded: the line stays"),
    ],
)
def test_who_is_not_found_is_listed_and_never_guessed(tmp_path, one, remark):
    lines, done = run(tmp_path, "canvas", CANVAS, one)
    assert [line["Lab 01: Features (4567)"] for line in lines.values()][1:] == ["20", "", "3", "", "", "", ""]
    assert done.filled == 0
    assert any(said.startswith(remark) for said in done.remarks)


def test_two_for_one_line_are_listed(tmp_path):
    two = [grade("Canvas", "lovelaceada", "101"), grade("file", "Ada Lovelace", "", 3)]
    lines, done = run(tmp_path, "canvas", CANVAS, *two)
    assert lines["101"]["Lab 01: Features (4567)"] == ""
    assert (
        "one line there fits lovelaceada, Ada Lovelace: not filled in, decide which one counts"
        in done.remarks
    )


def test_who_handed_in_nothing_is_listed(tmp_path):
    _, done = run(tmp_path, "canvas", CANVAS, grade("Canvas", "x", "101"), grade("Canvas", "x", "102"))
    (said,) = [remark for remark in done.remarks if remark.startswith("handed in nothing")]
    assert said.count("Curie, Marie") == 1
    assert "Ångström, Zoë" in said
    assert "Test" not in said
    assert "Points" not in said


def test_moodle_by_number(tmp_path):
    marie, zoe = grade("Moodle", "Marie Curie", "102", 9.25), grade("Moodle", "Zoë Ångström", "104")
    lines, done = run(tmp_path, "moodle", MOODLE, marie, zoe)
    assert [line["Grade"] for line in lines.values()] == ["Grade", "", "9.25", "", "5.00"]
    assert done.filled == 1
    assert "Zoë Ångström is not filled in: the file says that this grade cannot be changed" in done.remarks
    assert not any("scaled" in remark for remark in done.remarks)


def test_moodle_in_another_language_with_semicolons_and_a_mark(tmp_path):
    text = (
        "ID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;Bewertung kann geändert werden\n"
        "Teilnehmer/in101;Ada Lovelace;a@x;Zur Bewertung abgegeben;;20,00;Ja\n"
        "Teilnehmer/in102;Zoë;z@x;Keine Abgabe;;20,00;Nein\n"
    )
    grades = grade("Moodle", "Ada Lovelace", "101"), grade("Moodle", "Zoë", "102")
    lines, done = run(tmp_path, "moodle", text.encode("utf-8-sig"), *grades)
    assert lines["Teilnehmer/in101"]["Bewertung"] == "17"
    assert lines["Teilnehmer/in102"]["Bewertung"] == ""
    assert done.path.read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_what_excel_saved_is_read_and_becomes_utf_8(tmp_path, encoding):
    lines, _ = run(tmp_path, "moodle", MOODLE.encode(encoding), grade("file", "Zoe Angstrom", ""))
    assert lines["Participant 104"]["Full name"] == "Zoë Ångström"


@pytest.mark.parametrize(
    ("system", "text", "sentence"),
    [
        ("canvas", MOODLE, "is no gradebook from Canvas"),
        ("moodle", CANVAS, "is no grading worksheet from Moodle"),
        ("canvas", "", "has no lines of students"),
        ("canvas", "Student,ID,Lab 01 (1)\n", "has no lines of students"),
        ("canvas", b"PK\x03\x04", "is a spreadsheet, not a CSV"),
        ("canvas", "Student,ID,Lab 10 (1),Lab 2 (3)\nA,1,,\n", "no column in .* --column; there are 'Lab 10"),
        ("canvas", "Student,ID,Lab 1 (1),lab01 again (3)\nA,1,,\n", "2 columns in .* name one with --column"),
        ("canvas", "Student,ID,Section\nA,1,\n", "there are none for points"),
    ],
)
def test_other_files_are_refused(tmp_path, system, text, sentence):
    with pytest.raises(CourseError, match=sentence):
        run(tmp_path, system, text)


@pytest.mark.parametrize("column", ["Essay", "Essay (4569)"])
def test_a_column_whose_title_does_not_name_the_lab_can_be_named(tmp_path, column):
    lines, _ = run(tmp_path, "canvas", CANVAS, grade("Canvas", "x", "101"), column=column)
    assert lines["101"]["Essay (4569)"] == "85"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CourseError, match="cannot be read"):
        fill("canvas", tmp_path / "x.csv", LAB, [], 10, tmp_path)


# --- the CSV of every run


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
def test_no_text_is_run_as_a_formula(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ada", "-1.5", "+3", "-0,5", "O'Neil", "a=b"])
def test_other_text_stays(text):
    assert safe_cell(text) == text


def test_late_has_its_columns_where_there_is_a_due_date(tmp_path):
    result = Result("ada", "=Ada", 8.0, {"a": 8.0}, notes=["=x"], doubts=["Who is it?"])
    write_csv(tmp_path / "a.csv", [result], {"a": 10.0}, {"ada": ("2", 6.4)})
    (row,) = csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8-sig", newline=""))
    assert (row["late"], row["points_after_penalty"], row["points"], row["status"]) == (
        "2",
        "6.4",
        "8.0",
        "problem",
    )
    assert (row["name"], row["note"]) == ("'=Ada", "'=x Who is it?")
    write_csv(tmp_path / "b.csv", [result], {"a": 10.0})
    assert "late" not in (tmp_path / "b.csv").read_text(encoding="utf-8-sig")
