"""Fill in what the learning management system exported: Canvas's gradebook, Moodle's grading worksheet.

A copy is written and the file itself stays. A student is found by the system's number, or without one by a
name that one line only has; whoever is not found is listed and never guessed. Who could not be graded keeps
what was there.
"""

import codecs
import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from grading.collect import Person, fold
from grading.labs import CourseError, Lab
from grading.report import safe_cell
from grading.unpack import printable

GRADE = re.compile("grade|bewertung|note|calificación|punteggio|valutazione|cijfer", re.IGNORECASE)
MOST = re.compile("maximum|höchste|bestwertung|maximale|máxima|massim", re.IGNORECASE)
LOCKED = re.compile("can be changed|geändert werden|peut être modifiée|puede ser", re.IGNORECASE)
NO = ("no", "nein", "non", "nee")


@dataclass(frozen=True)
class Grade:
    """What one student gets: who it is, the points, and whether these are a result at all."""

    person: Person
    points: float
    graded: bool


@dataclass
class Exported:
    """How filling in went, in sentences for the instructor."""

    path: Path
    filled: int = 0
    remarks: list[str] = field(default_factory=list)


@dataclass
class Sheet:
    """A CSV file as it was read: its rows, the header first, and how it was written."""

    path: Path
    rows: list[list[str]]
    delimiter: str
    mark: bool  # a byte order mark in front

    def cell(self, row: int, column: int) -> str:
        """Without spaces around it; "" where the row is too short."""
        return self.rows[row][column].strip() if column < len(self.rows[row]) else ""

    def put(self, row: int, column: int, text: str) -> None:
        self.rows[row] += [""] * (column + 1 - len(self.rows[row]))
        self.rows[row][column] = text

    def write(self, path: Path, verbatim: set[int]) -> None:
        """Write it in UTF-8; a cell outside the columns `verbatim` never begins like a formula."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\r\n")
        writer.writerow(self.rows[0])
        for row in self.rows[1:]:
            writer.writerow([one if number in verbatim else safe_cell(one) for number, one in enumerate(row)])
        path.write_bytes(text.getvalue().encode("utf-8-sig" if self.mark else "utf-8", "replace"))


def number_in(text: str) -> float:
    """The number in "100.00" or "100,00"; 0 where there is none."""
    found = re.fullmatch(r"(\d+)(?:[.,](\d+))?", text)
    return float(f"{found[1]}.{found[2] or 0}") if found else 0.0


def read_sheet(path: Path) -> Sheet:
    """Read a CSV as systems and spreadsheets write it.

    Raises:
        CourseError: when it is not there or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CourseError(
            f"{path} cannot be read ({error.strerror}): give the CSV that the system exported"
        ) from error
    if data.startswith(b"PK"):
        raise CourseError(f"{path} is a spreadsheet, not a CSV: export it as CSV")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")  # what Excel on Windows saves
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise CourseError(f"{path} is no CSV ({error}): give the one that the system exported") from error
    if len(rows) < 2:
        raise CourseError(f"{path} has no lines of students: give the CSV that the system exported")
    rows[0] = [title.strip() for title in rows[0]]
    return Sheet(path, rows, delimiter, data.startswith(codecs.BOM_UTF8))


def spellings(name: str) -> set[str]:
    """How one name may be written: "Lovelace, Ada", "Ada Lovelace", "lovelaceada"."""
    last, comma, first = name.partition(",")
    both = {name, f"{first} {last}"} if comma else {name}
    return {re.sub(r"[\W_]+", "", fold(one)) for one in both} - {""}


def words(text: str) -> str:
    """Words and numbers of a title, to be compared: " lab 1 features " for "Lab01: Features"."""
    found = re.findall(r"[^\W\d_]+|\d+", fold(text))
    return " ".join(["", *(one.lstrip("0") if one.isdigit() else one for one in found), ""])


def find_column(sheet: Sheet, among: list[int], lab: Lab, wanted: str | None) -> int:
    """The column of this lab: `wanted`, or the only one among those given whose title names the lab.

    Raises:
        CourseError: with the columns there are.
    """
    titles = {number: sheet.rows[0][number] for number in among}
    if wanted:
        found = [number for number, one in titles.items() if wanted in (one, re.sub(r" \(\d+\)$", "", one))]
    else:
        found = [number for number, one in titles.items() if words(lab.notebook) in words(one)]
    if len(found) != 1:
        how_many = f"{len(found)} columns" if found else "no column"
        raise CourseError(
            f"{how_many} in {sheet.path} can be told to be {wanted or lab.notebook!r}: name one with "
            f"--column; there are {', '.join(map(repr, titles.values())) or 'none for points'}"
        )
    return found[0]


@dataclass
class Target:
    """Where in a sheet the points go.

    `students` are numbers of rows; `numbers`, `names` and `most` are theirs: the system's number, each name
    they go by, the points that the system thinks can be reached ("" unknown).
    """

    column: int
    students: list[int]
    numbers: dict[int, str]
    names: dict[int, list[str]]
    most: dict[int, str]
    locked: set[int]  # rows that the system refuses to change
    verbatim: set[int]  # columns that stay as they are, to the letter


def canvas_target(sheet: Sheet, lab: Lab, wanted: str | None) -> Target:
    """Canvas's gradebook: Student, ID, ..., and "Lab 01 (4567)" for each assignment.

    Raises:
        CourseError: when it is none, or has no column of this lab.
    """
    header = sheet.rows[0]
    if "Student" not in header or "ID" not in header:
        raise CourseError(f"{sheet.path} is no gradebook from Canvas: it has no columns Student and ID")
    who, ids = header.index("Student"), header.index("ID")
    assignments = [number for number, title in enumerate(header) if re.search(r" \(\d+\)$", title)]
    column = find_column(sheet, assignments, lab, wanted)
    students = [row for row in range(1, len(sheet.rows)) if sheet.cell(row, ids)]
    others = [row for row in range(1, len(sheet.rows)) if row not in students]
    possible = [sheet.cell(row, column) for row in others if sheet.cell(row, who) == "Points Possible"]
    logins = [
        who,
        *(number for number, title in enumerate(header) if title in ("SIS User ID", "SIS Login ID")),
    ]
    return Target(
        column,
        students,
        {row: sheet.cell(row, ids) for row in students},
        {row: [sheet.cell(row, number) for number in logins] for row in students},
        dict.fromkeys(students, possible[0] if possible else ""),
        set(),
        {ids, column},
    )


def moodle_target(sheet: Sheet, lab: Lab, wanted: str | None) -> Target:
    """Moodle's grading worksheet: Identifier ("Participant 123"), Full name, ..., Grade, Maximum Grade, ...

    Its titles are in the teacher's language.

    Raises:
        CourseError: when it is none.
    """
    header, students = sheet.rows[0], list(range(1, len(sheet.rows)))
    numbers = {row: re.search(r"\d*$", sheet.cell(row, 0))[0] for row in students}
    if not any(numbers.values()):
        raise CourseError(
            f"{sheet.path} is no grading worksheet from Moodle: its first column holds no participants' "
            "numbers. In the assignment choose Submissions > Actions > Download grading worksheet"
        )

    def titled(pattern: re.Pattern) -> list[int]:
        return [number for number, title in enumerate(header) if pattern.search(title)]

    most, changes = titled(MOST), titled(LOCKED)
    grades = [
        number for number in titled(GRADE) if number not in (*most, *changes) and "(" not in header[number]
    ]
    # An assignment's worksheet has one such column, whatever its title.
    column = find_column(sheet, grades, lab, wanted) if wanted or len(grades) != 1 else grades[0]
    return Target(
        column,
        students,
        numbers,
        {row: [sheet.cell(row, number) for number in (1, 2)] for row in students},
        {row: sheet.cell(row, most[0]) if most else "" for row in students},
        {row for row in students if changes and sheet.cell(row, changes[0]).lower() in NO},
        {0, column},
    )


def match(person: Person, system: str, target: Target) -> set[int]:
    """The rows that may be this person's: by the system's number, or by name for who came without one."""
    if person.pattern.lower() == system and person.number:
        return {row for row in target.students if target.numbers[row] == person.number}
    wanted = spellings(person.name)
    return {row for row in target.students if any(wanted & spellings(name) for name in target.names[row])}


def fill(
    system: str, path: Path, lab: Lab, grades: list[Grade], most: float, out: Path, column: str | None = None
) -> Exported:
    """Write a copy of what `system` exported with the points in it.

    Args:
        system: "canvas" or "moodle".
        path: the CSV from there.
        lab: the lab that was graded.
        grades: one a student.
        most: the points that can be reached; where the system's most is another, points are scaled to that.
        out: the folder for the copy.
        column: its title, where that does not name the lab.

    Raises:
        CourseError: when it is not such a CSV.
    """
    sheet = read_sheet(path)
    target = TARGETS[system](sheet, lab, column)
    exported = Exported(out / f"{lab.notebook}_{system}.csv")
    remark = exported.remarks.append
    claimed: dict[int, list[Grade]] = {}
    for grade in grades:
        rows = match(grade.person, system, target)
        if len(rows) == 1:
            claimed.setdefault(rows.pop(), []).append(grade)
        else:
            why = f"{len(rows)} lines there fit" if rows else "nobody there has this number or name"
            remark(f"{printable(grade.person.name)} is not filled in: {why}")
    scaled = set()
    for row, found in sorted(claimed.items()):
        who = ", ".join(printable(one.person.name) for one in found)
        if len(found) > 1:
            remark(f"one line there fits {who}: not filled in, decide which one counts")
        elif not found[0].graded:
            remark(f"{who} could not be graded: the line stays as it was")
        elif row in target.locked:
            remark(f"{who} is not filled in: the file says that this grade cannot be changed")
        else:
            theirs = number_in(target.most[row]) or most
            scaled |= {theirs} - {most}
            points = f"{found[0].points * theirs / most:.2f}" if most else "0.00"
            sheet.put(row, target.column, points.rstrip("0").rstrip("."))
            exported.filled += 1
    title = sheet.rows[0][target.column]
    for theirs in sorted(scaled):
        remark(
            f"{lab.notebook} has {most:g} points and {title!r} has {theirs:g}: the points were scaled to that"
        )
    nothing = [target.names[row][0] for row in target.students if row not in claimed]
    if nothing := [printable(name) for name in nothing if name and name != "Student, Test"]:
        remark(f"handed in nothing: {'; '.join(nothing)}")
    sheet.write(exported.path, target.verbatim)
    return exported


TARGETS = {"canvas": canvas_target, "moodle": moodle_target}
